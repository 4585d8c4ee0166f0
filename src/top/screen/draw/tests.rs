//! Screens as users see them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Color;

use super::*;
use crate::event::format::EventFormat;
use crate::top::aggregate::LineReader;
use crate::top::screen::spark::Bars;

/// Returns a minute of events in which posts become more frequent.
fn events() -> (Aggregate, LatestEvents) {
    let (mut aggregate, reader) = (Aggregate::new(Duration::from_secs(10)), LineReader::default());
    let mut latest = LatestEvents::default();
    latest.add_handle(&format!("did:plc:{:0>24}", 7), "alice.example".into());
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
                r#"{{"did":"{did}","time_us":1,"kind":"commit","commit":{{"rev":"r","operation":"{operation}","collection":"{collection}","rkey":"k","record":{{"text":"event {n}","langs":["{language}"]}}}}}}"#
            ),
        };
        // Second s has 2s + 1 events, up to second 44.
        aggregate.add(&reader, line.as_bytes(), Duration::from_secs(n.isqrt()));
        latest.add(&EventFormat::V1.parse(line.as_bytes()).unwrap(), line.as_bytes());
    }
    (aggregate, latest)
}

fn screen_of(
    (columns, lines): (u16, u16),
    theme: &Theme,
    state: &mut ViewState,
) -> Terminal<TestBackend> {
    let (aggregate, latest) = events();
    let data = ScreenData {
        aggregate: &aggregate,
        latest: &latest,
        duplicates: 12,
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
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            c => KeyCode::Char(c),
        };
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
fn a_narrow_screen_has_the_selected_tables() {
    insta::assert_snapshot!(text((60, 20), &mut ViewState::default()));
    let mut state = ViewState::default();
    press(&mut state, "\t\t");
    let screen = text((60, 20), &mut state);
    assert!(screen.contains("LANGUAGE") && !screen.contains("ACCOUNT"), "{screen}");
}

#[test]
fn a_wide_screen_has_operations_handles_and_latest_events() {
    insta::assert_snapshot!(text((200, 50), &mut ViewState::default()));
}

#[test]
fn the_help_fits_the_smallest_screen() {
    let mut state = ViewState::default();
    press(&mut state, "?");
    let narrow = text((60, 20), &mut state);
    insta::assert_snapshot!(narrow);
    let help = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(3).map(str::trim_end).filter(|line| !line.is_empty());
        lines.take(15).map(str::to_owned).collect()
    };
    // No line is cut.
    assert_eq!(help(&narrow), help(&text((80, 24), &mut state)));
}

#[test]
fn enter_shows_the_latest_events_of_a_collection_and_of_an_account() {
    let mut state = ViewState::default();
    let _ = text((80, 24), &mut state);
    press(&mut state, "j");
    let _ = text((80, 24), &mut state);
    press(&mut state, "\n");
    insta::assert_snapshot!("the_events_of_a_collection", text((80, 24), &mut state));
    let _ = state.on_key(KeyEvent::from(KeyCode::Esc));
    press(&mut state, "\t\n");
    insta::assert_snapshot!("the_events_of_an_account", text((80, 24), &mut state));
    let wide = text((200, 50), &mut state);
    assert!(wide.contains("ACCOUNT did:plc:000000000000000000000007  @alice.example"), "{wide}");
    assert_eq!(wide.matches("event 1").count(), 32, "{wide}");
    press(&mut state, "jjj");
    assert!(text((60, 20), &mut state).contains("event 1"));
}

#[test]
fn keys_that_come_faster_than_drawings_open_the_selected_row() {
    let mut state = ViewState::default();
    let _ = text((80, 24), &mut state);
    press(&mut state, "j\n");
    let screen = text((80, 24), &mut state);
    assert!(screen.contains("COLLECTION app.bsky.feed.post"), "{screen}");
    assert!(!screen.contains("LANGUAGE"), "{screen}");
    let mut state = ViewState::default();
    press(&mut state, "\n");
    assert!(text((80, 24), &mut state).contains("COLLECTION app.bsky.feed.like"));
}

#[test]
fn rows_can_be_reversed_and_filtered_by_handle() {
    let mut state = ViewState::default();
    press(&mut state, "r");
    let screen = text((80, 24), &mut state);
    let at = |name: &str| screen.find(name).unwrap();
    assert!(at("app.bsky.actor.profile") < at("app.bsky.feed.like"), "{screen}");
    assert!(screen.contains("RATE▲"), "{screen}");
    press(&mut state, "\t/ALICE\n");
    let screen = text((80, 24), &mut state);
    assert!(screen.contains("alice.example") && !screen.contains("did:plc:"), "{screen}");
}

#[test]
fn a_small_terminal_gets_a_message() {
    let screen = text((59, 20), &mut ViewState::default());
    assert!(screen.contains("needs 60 columns and 20 lines") && screen.contains("59 and 20"));
    let screen = text((80, 19), &mut ViewState::default());
    assert!(screen.contains("80 and 19") && screen.contains("--once"), "{screen}");
}

#[test]
fn any_size_can_be_drawn() {
    for size in [
        (0, 0),
        (1, 1),
        (3, 50),
        (60, 20),
        (80, 20),
        (81, 21),
        (159, 30),
        (200, 50),
        (500, 20),
        (80, 200),
    ] {
        for keys in ["", "z", "\t", "\t\tz", "?", "\n", "\t\n"] {
            let mut state = ViewState::default();
            let theme = Theme::new(true, Bars::ASCII);
            let _ = screen_of(size, &theme, &mut state);
            for key in keys.chars() {
                press(&mut state, &key.to_string());
                let _ = screen_of(size, &theme, &mut state);
            }
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
    let line = r#"{"did":"did:\u001b[2J\u202e","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"cr\u001beate","collection":"\u009b31m\u0007世界","rkey":"k","record":{"text":"\u001b]0;x\u0007\n\u202e世","langs":["\u001b]0;x\u0007"]}}}"#;
    aggregate.add(&reader, line.as_bytes(), Duration::ZERO);
    let mut latest = LatestEvents::default();
    latest.add(&EventFormat::V1.parse(line.as_bytes()).unwrap(), line.as_bytes());
    latest.add_handle("did:\u{1b}[2J\u{202e}", "\u{1b}[31m\u{202e}".into());
    let data = ScreenData {
        aggregate: &aggregate,
        latest: &latest,
        duplicates: 0,
        at: Duration::ZERO,
        server: "\u{1b}[31m",
        server_ordinal: "",
        status_text: "",
        alert: "",
        log_line: Some("\u{1b}[31m\u{202e}"),
    };
    for (columns, lines) in [(80, 24), (200, 50)] {
        for keys in ["", "\n", "\t\n"] {
            let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
            let (theme, mut state) = (Theme::new(false, Bars::ASCII), ViewState::default());
            terminal.draw(|frame| draw(frame, &data, &mut state, &theme)).unwrap();
            press(&mut state, keys);
            assert_eq!(state.detail.is_some(), !keys.is_empty());
            terminal.draw(|frame| draw(frame, &data, &mut state, &theme)).unwrap();
            let cells = terminal.backend().buffer().content();
            let symbols: String = cells.iter().map(|cell| cell.symbol()).collect();
            assert!(symbols.contains("世"), "{symbols}");
            assert!(symbols.chars().all(crate::display::printable::is_harmless), "{symbols:?}");
        }
    }
}
