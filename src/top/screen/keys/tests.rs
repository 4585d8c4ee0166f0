//! What each key does.

use super::*;

fn press(state: &mut ViewState, codes: &[KeyCode]) -> KeyAction {
    let keys = codes.iter().map(|code| KeyEvent::new(*code, KeyModifiers::NONE));
    keys.map(|key| state.on_key(key)).last().unwrap()
}

fn rows(names: &[&str]) -> Vec<Row> {
    names.iter().map(|name| Row { name: (*name).to_owned(), ..Row::default() }).collect()
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
fn each_table_has_its_own_order_and_selection() {
    let mut state = ViewState::default();
    state.tables[1].rows = (10, 4);
    press(&mut state, &[KeyCode::Char('s'), KeyCode::Tab, KeyCode::Char('s')]);
    press(&mut state, &[KeyCode::Char('s'), KeyCode::PageDown, KeyCode::PageDown]);
    let [collections, accounts, _] = &state.tables;
    assert_eq!((collections.sort, collections.row), (Sort::Total, 0));
    assert_eq!((accounts.sort, accounts.row), (Sort::Name, 8));
    press(&mut state, &[KeyCode::Up, KeyCode::Up]);
    assert_eq!(state.tables[1].row, 6);
    press(&mut state, &[KeyCode::End, KeyCode::Down]);
    assert_eq!(state.tables[1].row, 9);
    press(&mut state, &[KeyCode::BackTab, KeyCode::Down]);
    assert_eq!((state.selected, state.tables[0].row), (TableKind::Collections, 0));
    press(&mut state, &[KeyCode::Char('r')]);
    assert_eq!(state.tables.each_ref().map(|table| table.is_reversed), [true, false, false]);
}

#[test]
fn the_selection_stays_on_its_name_and_in_view() {
    let mut table = TableState::default();
    let names = ["a", "b", "c", "d", "e"];
    table.place(&rows(&names), 5, 2);
    assert_eq!((table.row, table.scroll, table.name.as_deref()), (0, 0, Some("a")));
    // Nothing was selected, so the first row stays selected.
    table.place(&rows(&["b", "a"]), 2, 2);
    assert_eq!((table.row, table.name.as_deref()), (0, Some("b")));
    table.place(&rows(&names), 5, 2);
    table.select(KeyCode::Down);
    table.select(KeyCode::Down);
    table.place(&rows(&names), 5, 2);
    assert_eq!((table.row, table.scroll, table.name.as_deref()), (2, 1, Some("c")));
    table.place(&rows(&["c", "a", "b", "d", "e"]), 5, 2);
    assert_eq!((table.row, table.scroll, table.name.as_deref()), (0, 0, Some("c")));
    // A name that is gone leaves the selection in its row.
    table.place(&rows(&["x"]), 1, 2);
    assert_eq!((table.row, table.scroll, table.name.as_deref()), (0, 0, Some("x")));
    table.place(&[], 0, 0);
    assert_eq!((table.row, table.scroll, table.name.as_deref()), (0, 0, None));
}

#[test]
fn enter_opens_the_events_of_the_selected_row_and_escape_closes_them() {
    let mut state = ViewState::default();
    state.table().place(&rows(&["a", "b"]), 2, 2);
    press(&mut state, &[KeyCode::Down]);
    state.table().place(&rows(&["a", "b"]), 2, 2);
    press(&mut state, &[KeyCode::Enter]);
    let detail = state.detail.as_mut().unwrap();
    assert_eq!((detail.kind, detail.name.as_str()), (TableKind::Collections, "b"));
    detail.rows = (9, 4);
    press(&mut state, &[KeyCode::PageDown, KeyCode::PageDown]);
    assert_eq!(state.detail.as_ref().unwrap().scroll, 5);
    assert_eq!(press(&mut state, &[KeyCode::Esc]), KeyAction::None);
    assert_eq!(state.detail, None);
    press(&mut state, &[KeyCode::Enter]);
    assert_eq!(press(&mut state, &[KeyCode::Char('q')]), KeyAction::Quit);
    // No events are kept of the others and of languages.
    let mut state = ViewState::default();
    state.table().place(&rows(&[OTHERS]), 1, 2);
    press(&mut state, &[KeyCode::Enter]);
    assert_eq!(state.detail, None);
    press(&mut state, &[KeyCode::BackTab, KeyCode::Enter]);
    assert!(state.detail.is_none() && state.is_zoomed);
}

#[test]
fn any_key_closes_the_help() {
    let mut state = ViewState::default();
    for key in [KeyCode::Char('?'), KeyCode::Char('q'), KeyCode::Esc, KeyCode::Tab] {
        press(&mut state, &[KeyCode::Char('?')]);
        assert!(state.is_help);
        assert_eq!(press(&mut state, &[key]), KeyAction::None);
        assert!(!state.is_help && state.selected == TableKind::Collections);
    }
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
