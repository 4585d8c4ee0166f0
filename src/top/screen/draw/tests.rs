//! Screens as users see them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Color;

use super::*;
use crate::top::aggregate::LineReader;
use crate::top::screen::spark::Bars;

/// Returns a minute of events in which posts become more frequent.
fn aggregate() -> Aggregate {
    let (mut aggregate, reader) = (Aggregate::new(Duration::from_secs(10)), LineReader::default());
    for n in 0..2000u64 {
        let (collection, operation) = match n % 10 {
            0 => ("app.bsky.feed.like", "delete"),
            1..5 => ("app.bsky.feed.like", "create"),
            5 => ("app.bsky.actor.profile", "update"),
            6 => (
                "com.example.a-collection-whose-name-is-far-too-long-for-a-narrow-screen",
                "create",
            ),
            _ => ("app.bsky.feed.post", "create"),
        };
        let language = if n % 3 == 0 { "ja" } else { "en" };
        let did = format!("did:plc:{:0>24}", if n % 4 == 0 { 7 } else { n });
        let line = match n % 50 {
            49 => format!(r#"{{"did":"{did}","time_us":1,"kind":"account","account":{{}}}}"#),
            _ => format!(
                r#"{{"did":"{did}","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"{operation}","collection":"{collection}","rkey":"k","record":{{"langs":["{language}"]}}}}}}"#
            ),
        };
        // Second s has 2s + 1 events, up to second 44.
        aggregate.add(&reader, line.as_bytes(), Duration::from_secs(n.isqrt()));
    }
    aggregate
}

fn screen_of(
    (columns, lines): (u16, u16),
    theme: &Theme,
    state: &mut ViewState,
) -> Terminal<TestBackend> {
    let aggregate = aggregate();
    let data = ScreenData {
        aggregate: &aggregate,
        at: Duration::from_secs(44),
        server: "jetstream.example",
        server_ordinal: "",
        status_text: "live  85/s  0.2s behind",
        alert: "1 gap",
        log_line: Some(
            "skytail: warning: the connection to jetstream.example was lost: it was reset by the peer",
        ),
    };
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| draw(frame, &data, state, theme)).unwrap();
    terminal
}

fn text(size: (u16, u16), state: &mut ViewState) -> String {
    let theme = Theme::new(false, Bars::BLOCKS);
    let terminal = screen_of(size, &theme, state);
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..size.1).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

fn press(state: &mut ViewState, keys: &str) {
    for c in keys.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        let _ = state.on_key(KeyEvent::from(code));
    }
}

#[test]
fn a_default_screen_has_all_tables() {
    insta::assert_snapshot!(text((80, 24), &mut ViewState::default()));
}

#[test]
fn a_short_screen_has_fewer_rows() {
    insta::assert_snapshot!(text((80, 20), &mut ViewState::default()));
}

#[test]
fn a_filter_an_operation_and_a_pause_are_shown() {
    let mut state = ViewState::default();
    press(&mut state, "o/feed\npz");
    let screen = text((80, 24), &mut state);
    assert!(screen.contains("PAUSED"), "{screen}");
    assert!(screen.contains("COLLECTION create /feed"), "{screen}");
    assert!(screen.contains("app.bsky.feed.like") && !screen.contains("profile"), "{screen}");
    assert!(!screen.contains("ACCOUNT"), "enlarged:\n{screen}");
    press(&mut state, "/x");
    let screen = text((80, 24), &mut state);
    assert!(screen.contains("filter: feedx_") && screen.contains("Enter apply"), "{screen}");
}

#[test]
fn a_small_terminal_gets_a_message() {
    let screen = text((60, 20), &mut ViewState::default());
    assert!(screen.contains("needs 80 columns and 20 lines") && screen.contains("60 and 20"));
    let screen = text((80, 19), &mut ViewState::default());
    assert!(screen.contains("80 and 19") && screen.contains("--once"), "{screen}");
}

#[test]
fn any_size_can_be_drawn() {
    for size in [(0, 0), (1, 1), (3, 50), (80, 20), (81, 21), (200, 50), (500, 20), (80, 200)] {
        for keys in ["", "z", "\t"] {
            let mut state = ViewState::default();
            press(&mut state, keys);
            let theme = Theme::new(true, Bars::ASCII);
            let _ = screen_of(size, &theme, &mut state);
        }
    }
}

#[test]
fn colours_are_used_only_on_request() {
    let coloured = |is_coloured| {
        let theme = Theme::new(is_coloured, Bars::BLOCKS);
        let terminal = screen_of((80, 24), &theme, &mut ViewState::default());
        let cells = terminal.backend().buffer().content().to_vec();
        cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(coloured(true) && !coloured(false));
}

#[test]
fn foreign_text_cannot_control_the_terminal() {
    let (mut aggregate, reader) = (Aggregate::new(Duration::from_secs(10)), LineReader::default());
    let line = r#"{"did":"did:\u001b[2J\u202e","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"\u009b31m\u0007世界","rkey":"k","record":{"langs":["\u001b]0;x\u0007"]}}}"#;
    aggregate.add(&reader, line.as_bytes(), Duration::ZERO);
    let data = ScreenData {
        aggregate: &aggregate,
        at: Duration::ZERO,
        server: "\u{1b}[31m",
        server_ordinal: "",
        status_text: "",
        alert: "",
        log_line: Some("\u{1b}[31m\u{202e}"),
    };
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let theme = Theme::new(false, Bars::ASCII);
    terminal.draw(|frame| draw(frame, &data, &mut ViewState::default(), &theme)).unwrap();
    let cells = terminal.backend().buffer().content();
    let symbols: String = cells.iter().map(|cell| cell.symbol()).collect();
    assert!(symbols.contains("世"), "{symbols}");
    assert!(symbols.chars().all(crate::display::printable::is_harmless), "{symbols:?}");
}
