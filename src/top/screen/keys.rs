//! Key bindings: how keys change the view. Pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::event::header::Operation;
use crate::top::aggregate::{OPERATIONS, Sort};

/// Maximum length of a filter, in characters.
const MAX_FILTER: usize = 60;

/// The tables that can be selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableKind {
    /// Table of collections.
    #[default]
    Collections,
    /// Table of accounts.
    Accounts,
    /// Table of languages.
    Languages,
}

/// The view state of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    /// The order of rows.
    pub sort: Sort,
    /// The filter for names.
    pub filter: String,
    /// Number of rows above the first visible one.
    pub scroll: usize,
    /// Total and visible number of rows when the table was last drawn.
    pub rows: (usize, usize),
}

/// The view that the user has chosen.
#[derive(Clone, Debug, Default)]
pub struct ViewState {
    /// The table that keys apply to.
    pub selected: TableKind,
    /// Whether the selected table fills the screen.
    pub is_zoomed: bool,
    /// State of each table, in the order of [`TableKind`].
    pub tables: [TableState; 3],
    /// Only commits with this operation, in the table of collections.
    pub operation: Option<Operation>,
    /// Whether the screen is frozen.
    pub is_paused: bool,
    /// The previous filter, while the filter is being edited.
    pub editing: Option<String>,
}

/// The action that a key requires outside of the view state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// Only a redraw.
    None,
    /// End the run.
    Quit,
    /// Suspend the process.
    Suspend,
    /// Clear and redraw the screen.
    Redraw,
}

impl ViewState {
    /// Returns the state of the selected table.
    #[must_use]
    pub fn table(&mut self) -> &mut TableState {
        &mut self.tables[self.selected as usize]
    }

    /// Handles a key.
    pub fn on_key(&mut self, key: KeyEvent) -> KeyAction {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => KeyAction::Quit,
                KeyCode::Char('z') => KeyAction::Suspend,
                KeyCode::Char('l') => KeyAction::Redraw,
                _ => KeyAction::None,
            };
        }
        if self.editing.is_some() {
            self.edit_filter(key.code);
            return KeyAction::None;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return KeyAction::Quit,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab => self.selected = next(self.selected),
            KeyCode::BackTab => self.selected = next(next(self.selected)),
            KeyCode::Char('z') | KeyCode::Enter => self.is_zoomed = !self.is_zoomed,
            KeyCode::Char('s') => {
                let table = self.table();
                table.sort = match table.sort {
                    Sort::Rate => Sort::Total,
                    Sort::Total => Sort::Name,
                    Sort::Name => Sort::Rate,
                };
            }
            KeyCode::Char('o') => {
                self.selected = TableKind::Collections;
                self.operation = match self.operation {
                    None => Some(OPERATIONS[0]),
                    Some(Operation::Create) => Some(OPERATIONS[1]),
                    Some(Operation::Update) => Some(OPERATIONS[2]),
                    Some(_) => None,
                };
            }
            KeyCode::Char('/') => self.editing = Some(self.table().filter.clone()),
            code => self.scroll(code),
        }
        KeyAction::None
    }

    /// Edits the filter, whose matches are shown at once.
    fn edit_filter(&mut self, code: KeyCode) {
        self.table().scroll = 0;
        match code {
            KeyCode::Enter => self.editing = None,
            KeyCode::Esc => self.table().filter = self.editing.take().unwrap_or_default(),
            KeyCode::Backspace => {
                self.table().filter.pop();
            }
            KeyCode::Char(c)
                if !c.is_control() && self.table().filter.chars().count() < MAX_FILTER =>
            {
                self.table().filter.push(c);
            }
            _ => {}
        }
    }

    fn scroll(&mut self, code: KeyCode) {
        let table = self.table();
        let (rows, fit) = table.rows;
        let last = rows.saturating_sub(fit);
        let page = fit.max(1);
        table.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => table.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => table.scroll + 1,
            KeyCode::PageUp => table.scroll.saturating_sub(page),
            KeyCode::PageDown => table.scroll + page,
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => table.scroll,
        }
        .min(last);
    }
}

fn next(place: TableKind) -> TableKind {
    match place {
        TableKind::Collections => TableKind::Accounts,
        TableKind::Accounts => TableKind::Languages,
        TableKind::Languages => TableKind::Collections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(state: &mut ViewState, codes: &[KeyCode]) -> KeyAction {
        let keys = codes.iter().map(|code| KeyEvent::new(*code, KeyModifiers::NONE));
        keys.map(|key| state.on_key(key)).last().unwrap()
    }

    #[test]
    fn q_escape_and_ctrl_c_quit() {
        let mut state = ViewState::default();
        assert_eq!(press(&mut state, &[KeyCode::Char('q')]), KeyAction::Quit);
        assert_eq!(press(&mut state, &[KeyCode::Esc]), KeyAction::Quit);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.on_key(ctrl_c), KeyAction::Quit);
        press(&mut state, &[KeyCode::Char('/')]);
        assert_eq!(state.on_key(ctrl_c), KeyAction::Quit);
    }

    #[test]
    fn a_filter_is_edited_and_escape_restores_it() {
        let mut state = ViewState::default();
        let q = KeyCode::Char('q');
        assert_eq!(press(&mut state, &[KeyCode::Char('/'), q, q]), KeyAction::None);
        press(&mut state, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!(state.tables[0].filter, "q");
        press(&mut state, &[KeyCode::Char('/'), KeyCode::Char('x'), KeyCode::Esc]);
        assert_eq!((state.tables[0].filter.as_str(), &state.editing), ("q", &None));
        press(&mut state, &[KeyCode::Tab, KeyCode::Char('/'), q, KeyCode::Enter]);
        assert_eq!(state.tables.each_ref().map(|a| a.filter.as_str()), ["q", "q", ""]);
    }

    #[test]
    fn each_table_has_its_own_order_and_scroll_position() {
        let mut state = ViewState::default();
        state.tables[1].rows = (10, 4);
        press(&mut state, &[KeyCode::Char('s'), KeyCode::Tab, KeyCode::Char('s')]);
        press(&mut state, &[KeyCode::Char('s'), KeyCode::PageDown, KeyCode::PageDown]);
        let [collections, accounts, _] = &state.tables;
        assert_eq!((collections.sort, collections.scroll), (Sort::Total, 0));
        assert_eq!((accounts.sort, accounts.scroll), (Sort::Name, 6));
        press(&mut state, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(state.tables[1].scroll, 4);
        press(&mut state, &[KeyCode::BackTab, KeyCode::Down]);
        assert_eq!((state.selected, state.tables[0].scroll), (TableKind::Collections, 0));
    }

    #[test]
    fn the_operation_key_cycles() {
        let mut state = ViewState::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            press(&mut state, &[KeyCode::Char('o')]);
            seen.push(state.operation);
        }
        let [create, update, delete, _] = OPERATIONS.map(Some);
        assert_eq!(seen, [create, update, delete, None]);
    }
}
