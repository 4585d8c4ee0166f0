//! What the keys do to what is shown. Pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::event::header::Operation;
use crate::top::board::{OPERATIONS, Sort};

/// Longest filter, in characters.
const LONGEST_FILTER: usize = 60;

/// The tables that can be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Collections.
    #[default]
    Collections,
    /// Accounts.
    Accounts,
    /// Languages.
    Languages,
}

/// How one table is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aspect {
    /// In which order.
    pub sort: Sort,
    /// Which names.
    pub filter: String,
    /// Rows above the first one shown.
    pub scroll: usize,
    /// Rows that there are, and that fit; as last drawn.
    pub rows: (usize, usize),
}

/// What is shown, as the person in front of it wants it.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The table that the keys are for.
    pub place: Place,
    /// Whether it has the whole screen.
    pub is_large: bool,
    /// How each table is looked at, in the order of [`Place`].
    pub aspects: [Aspect; 3],
    /// Only commits of this operation, among collections.
    pub operation: Option<Operation>,
    /// Whether it stands still.
    pub is_paused: bool,
    /// The filter before the one that is being written.
    pub writing: Option<String>,
}

/// What a key asks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing but to be drawn.
    Nothing,
    /// To end.
    Quit,
    /// To go into the background.
    Suspend,
    /// To draw everything anew.
    Redraw,
}

impl Wishes {
    /// How the chosen table is looked at.
    #[must_use]
    pub fn aspect(&mut self) -> &mut Aspect {
        &mut self.aspects[self.place as usize]
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Asked {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Asked::Quit,
                KeyCode::Char('z') => Asked::Suspend,
                KeyCode::Char('l') => Asked::Redraw,
                _ => Asked::Nothing,
            };
        }
        if self.writing.is_some() {
            self.write(key.code);
            return Asked::Nothing;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Asked::Quit,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Tab => self.place = next(self.place),
            KeyCode::BackTab => self.place = next(next(self.place)),
            KeyCode::Char('z') | KeyCode::Enter => self.is_large = !self.is_large,
            KeyCode::Char('s') => {
                let aspect = self.aspect();
                aspect.sort = match aspect.sort {
                    Sort::Rate => Sort::Total,
                    Sort::Total => Sort::Name,
                    Sort::Name => Sort::Rate,
                };
            }
            KeyCode::Char('o') => {
                self.place = Place::Collections;
                self.operation = match self.operation {
                    None => Some(OPERATIONS[0]),
                    Some(Operation::Create) => Some(OPERATIONS[1]),
                    Some(Operation::Update) => Some(OPERATIONS[2]),
                    Some(_) => None,
                };
            }
            KeyCode::Char('/') => self.writing = Some(self.aspect().filter.clone()),
            code => self.scroll(code),
        }
        Asked::Nothing
    }

    /// A key while a filter is being written: what it finds so far is shown.
    fn write(&mut self, code: KeyCode) {
        self.aspect().scroll = 0;
        match code {
            KeyCode::Enter => self.writing = None,
            KeyCode::Esc => self.aspect().filter = self.writing.take().unwrap_or_default(),
            KeyCode::Backspace => {
                self.aspect().filter.pop();
            }
            KeyCode::Char(c)
                if !c.is_control() && self.aspect().filter.chars().count() < LONGEST_FILTER =>
            {
                self.aspect().filter.push(c);
            }
            _ => {}
        }
    }

    fn scroll(&mut self, code: KeyCode) {
        let aspect = self.aspect();
        let (rows, fit) = aspect.rows;
        let last = rows.saturating_sub(fit);
        let page = fit.max(1);
        aspect.scroll = match code {
            KeyCode::Up | KeyCode::Char('k') => aspect.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => aspect.scroll + 1,
            KeyCode::PageUp => aspect.scroll.saturating_sub(page),
            KeyCode::PageDown => aspect.scroll + page,
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => aspect.scroll,
        }
        .min(last);
    }
}

fn next(place: Place) -> Place {
    match place {
        Place::Collections => Place::Accounts,
        Place::Accounts => Place::Languages,
        Place::Languages => Place::Collections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(wishes: &mut Wishes, codes: &[KeyCode]) -> Asked {
        let keys = codes.iter().map(|code| KeyEvent::new(*code, KeyModifiers::NONE));
        keys.map(|key| wishes.key(key)).last().unwrap()
    }

    #[test]
    fn q_escape_and_ctrl_c_quit() {
        let mut wishes = Wishes::default();
        assert_eq!(press(&mut wishes, &[KeyCode::Char('q')]), Asked::Quit);
        assert_eq!(press(&mut wishes, &[KeyCode::Esc]), Asked::Quit);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(wishes.key(ctrl_c), Asked::Quit);
        press(&mut wishes, &[KeyCode::Char('/')]);
        assert_eq!(wishes.key(ctrl_c), Asked::Quit);
    }

    #[test]
    fn a_filter_is_written_and_escape_takes_it_back() {
        let mut wishes = Wishes::default();
        let q = KeyCode::Char('q');
        assert_eq!(press(&mut wishes, &[KeyCode::Char('/'), q, q]), Asked::Nothing);
        press(&mut wishes, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!(wishes.aspects[0].filter, "q");
        press(&mut wishes, &[KeyCode::Char('/'), KeyCode::Char('x'), KeyCode::Esc]);
        assert_eq!((wishes.aspects[0].filter.as_str(), &wishes.writing), ("q", &None));
        press(&mut wishes, &[KeyCode::Tab, KeyCode::Char('/'), q, KeyCode::Enter]);
        assert_eq!(wishes.aspects.each_ref().map(|a| a.filter.as_str()), ["q", "q", ""]);
    }

    #[test]
    fn each_table_has_its_own_order_and_place() {
        let mut wishes = Wishes::default();
        wishes.aspects[1].rows = (10, 4);
        press(&mut wishes, &[KeyCode::Char('s'), KeyCode::Tab, KeyCode::Char('s')]);
        press(&mut wishes, &[KeyCode::Char('s'), KeyCode::PageDown, KeyCode::PageDown]);
        let [collections, accounts, _] = &wishes.aspects;
        assert_eq!((collections.sort, collections.scroll), (Sort::Total, 0));
        assert_eq!((accounts.sort, accounts.scroll), (Sort::Name, 6));
        press(&mut wishes, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(wishes.aspects[1].scroll, 4);
        press(&mut wishes, &[KeyCode::BackTab, KeyCode::Down]);
        assert_eq!((wishes.place, wishes.aspects[0].scroll), (Place::Collections, 0));
    }

    #[test]
    fn operations_take_turns() {
        let mut wishes = Wishes::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            press(&mut wishes, &[KeyCode::Char('o')]);
            seen.push(wishes.operation);
        }
        let [create, update, delete, _] = OPERATIONS.map(Some);
        assert_eq!(seen, [create, update, delete, None]);
    }
}
