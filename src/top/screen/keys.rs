//! Key bindings: how keys change the view. Pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::event::header::Operation;
use crate::top::aggregate::{OPERATIONS, OTHERS, Row, Sort};

/// Maximum length of a filter, in characters.
const MAX_FILTER: usize = 60;
/// Rows below the visible ones in which a selected name is found again.
const FOLLOWED_ROWS: usize = 50;

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
    /// Whether the order is turned around.
    pub is_reversed: bool,
    /// The filter for names.
    pub filter: String,
    /// Number of rows above the first visible one.
    pub scroll: usize,
    /// The selected row.
    pub row: usize,
    /// The name in the selected row when the table was last drawn; `None` after the user selected
    /// another row.
    pub name: Option<String>,
    /// Whether the user selected a row. The selection then stays on its name.
    pub is_chosen: bool,
    /// Total and visible number of rows when the table was last drawn.
    pub rows: (usize, usize),
}

impl TableState {
    /// Returns how many rows [`Self::place`] needs to find the selected name again.
    #[must_use]
    pub fn needed_rows(&self, fit: usize) -> usize {
        self.scroll.max(self.row) + fit + FOLLOWED_ROWS
    }

    /// Finds the selected row among the first rows of `all`, and scrolls so that it is one of the
    /// `fit` visible rows.
    pub fn place(&mut self, rows: &[Row], all: usize, fit: usize) {
        self.rows = (all, fit);
        let chosen = self.name.as_ref().filter(|_| self.is_chosen);
        let found = chosen.and_then(|name| rows.iter().position(|row| row.name == *name));
        self.row = found.unwrap_or(self.row).min(rows.len().saturating_sub(1));
        self.name = rows.get(self.row).map(|row| row.name.clone());
        let first = (self.row + 1).saturating_sub(fit);
        self.scroll = self.scroll.clamp(first, self.row.max(first)).min(all.saturating_sub(fit));
    }

    /// Moves the selection, if the key does that.
    fn select(&mut self, code: KeyCode) {
        let (rows, fit) = self.rows;
        let last = rows.saturating_sub(1);
        if let Some(row) = moved(self.row, code, fit) {
            self.row = row.min(last);
            self.name = None;
            self.is_chosen = true;
        }
    }

    /// Selects the first row again, because other rows are shown now.
    fn start_over(&mut self) {
        (self.row, self.scroll, self.name, self.is_chosen) = (0, 0, None, false);
    }
}

/// Returns the position that a key moves to, without an upper limit.
fn moved(from: usize, code: KeyCode, fit: usize) -> Option<usize> {
    let page = fit.max(1);
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => from + 1,
        KeyCode::PageUp => from.saturating_sub(page),
        KeyCode::PageDown => from + page,
        KeyCode::Home => 0,
        KeyCode::End => usize::MAX,
        _ => return None,
    })
}

/// The view of the latest events of a collection or account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetailState {
    /// The table that the name is from; never that of languages.
    pub kind: TableKind,
    /// The collection or the account's DID.
    pub name: String,
    /// Number of events above the first visible one.
    pub scroll: usize,
    /// Total and visible number of events when they were last drawn.
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
    /// The events that are shown in place of the tables.
    pub detail: Option<DetailState>,
    /// Whether to show the events of a row that is not drawn yet.
    pub opens_detail: bool,
    /// Whether the help covers everything else.
    pub is_help: bool,
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
        // Any key closes the help.
        if std::mem::take(&mut self.is_help) {
            return KeyAction::None;
        }
        match key.code {
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.is_help = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            code if self.detail.is_some() => self.move_in_detail(code),
            KeyCode::Esc => return KeyAction::Quit,
            KeyCode::Enter if self.selected != TableKind::Languages => self.open_detail(),
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
                table.start_over();
            }
            KeyCode::Char('r') => {
                let table = self.table();
                table.is_reversed = !table.is_reversed;
                table.start_over();
            }
            KeyCode::Char('o') => {
                self.selected = TableKind::Collections;
                self.table().start_over();
                self.operation = match self.operation {
                    None => Some(OPERATIONS[0]),
                    Some(Operation::Create) => Some(OPERATIONS[1]),
                    Some(Operation::Update) => Some(OPERATIONS[2]),
                    Some(_) => None,
                };
            }
            KeyCode::Char('/') => self.editing = Some(self.table().filter.clone()),
            code => self.table().select(code),
        }
        KeyAction::None
    }

    /// Shows the events of the selected row, as soon as it is known which name that row has.
    pub fn open_detail(&mut self) {
        let kind = self.selected;
        let name = self.table().name.clone();
        self.opens_detail = name.is_none();
        let name = name.filter(|name| name != OTHERS);
        self.detail = name.map(|name| DetailState { kind, name, scroll: 0, rows: (0, 0) });
    }

    fn move_in_detail(&mut self, code: KeyCode) {
        if matches!(code, KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left) {
            self.detail = None;
        } else if let Some(detail) = &mut self.detail
            && let Some(scroll) = moved(detail.scroll, code, detail.rows.1)
        {
            detail.scroll = scroll.min(detail.rows.0.saturating_sub(detail.rows.1));
        }
    }

    /// Edits the filter, whose matches are shown at once.
    fn edit_filter(&mut self, code: KeyCode) {
        self.table().start_over();
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
}

fn next(place: TableKind) -> TableKind {
    match place {
        TableKind::Collections => TableKind::Accounts,
        TableKind::Accounts => TableKind::Languages,
        TableKind::Languages => TableKind::Collections,
    }
}

#[cfg(test)]
#[path = "keys/tests.rs"]
mod tests;
