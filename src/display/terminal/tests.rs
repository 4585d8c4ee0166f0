//! Lines and the drawn line on an in-memory screen.

use super::*;
use indicatif::{InMemoryTerm, ProgressStyle};

/// Returns a terminal with this many columns and its in-memory screen.
pub fn in_memory(columns: u16) -> (Terminal, InMemoryTerm) {
    let screen = InMemoryTerm::new(8, columns);
    let lines = Box::new(Lines(screen.clone()));
    (Terminal::with(Some(Arc::new(screen.clone())), lines), screen)
}

/// Writes lines as a terminal driver would.
struct Lines(InMemoryTerm);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(&text.replace('\n', "\r\n"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn set_bar(terminal: &Terminal, text: &'static str) {
    let style = ProgressStyle::with_template("{msg}").unwrap();
    terminal.set_bar(ProgressBar::no_length().with_style(style));
    terminal.update_bar(|bar| bar.set_message(text));
}

#[test]
fn writing_lines_while_a_bar_is_drawn_corrupts_neither() {
    let (terminal, screen) = in_memory(20);
    terminal.write_lines(b"before\n").unwrap();
    set_bar(&terminal, "live  523/s");
    assert_eq!(screen.contents(), "before\nlive  523/s");
    terminal.write_lines(b"one\ntwo\n").unwrap();
    assert_eq!(screen.contents(), "before\none\ntwo\nlive  523/s");
    terminal.write_lines(b"wider than this whole screen\n").unwrap();
    assert_eq!(screen.contents(), "before\none\ntwo\nwider than this whol\ne screen\nlive  523/s");
    terminal.remove_bar();
    terminal.write_lines(b"after\n").unwrap();
    assert_eq!(screen.contents(), "before\none\ntwo\nwider than this whol\ne screen\nafter");
}

#[test]
fn lines_of_many_threads_stay_whole() {
    let (terminal, screen) = in_memory(40);
    set_bar(&terminal, "drawn");
    std::thread::scope(|scope| {
        for name in ["aaaaaaaa", "bbbbbbbb"] {
            let terminal = terminal.clone();
            scope.spawn(move || {
                for _ in 0..3 {
                    terminal.write_lines(format!("{name}\n").as_bytes()).unwrap();
                    terminal.update_bar(|bar| bar.set_message("drawn"));
                }
            });
        }
    });
    let contents = screen.contents();
    let mut lines: Vec<&str> = contents.lines().collect();
    assert_eq!(lines.pop(), Some("drawn"));
    lines.sort_unstable();
    assert_eq!(lines, [["aaaaaaaa"; 3], ["bbbbbbbb"; 3]].concat());
}

#[test]
fn an_echoed_interrupt_is_cleared_with_the_line() {
    let (terminal, screen) = in_memory(20);
    set_bar(&terminal, "live  523/s");
    screen.write_str("^C").unwrap();
    terminal.remove_bar();
    assert_eq!(screen.contents(), "");
}

#[test]
fn lines_are_written_even_if_nothing_can_be_drawn() {
    let screen = InMemoryTerm::new(5, 20);
    let terminal = Terminal::with(None, Box::new(Lines(screen.clone())));
    set_bar(&terminal, "never seen");
    terminal.write_lines(b"a line\n").unwrap();
    assert_eq!((screen.contents().as_str(), terminal.columns()), ("a line", 0));
}

/// A terminal whose window was closed.
#[derive(Debug)]
struct Gone;

fn gone<T>() -> io::Result<T> {
    Err(io::ErrorKind::BrokenPipe.into())
}

impl TermLike for Gone {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        gone()
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        gone()
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        gone()
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        gone()
    }
    fn write_line(&self, _: &str) -> io::Result<()> {
        gone()
    }
    fn write_str(&self, _: &str) -> io::Result<()> {
        gone()
    }
    fn clear_line(&self) -> io::Result<()> {
        gone()
    }
    fn flush(&self) -> io::Result<()> {
        gone()
    }
}

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        gone()
    }

    fn flush(&mut self) -> io::Result<()> {
        gone()
    }
}

#[test]
fn a_closed_terminal_causes_an_error_and_no_panic() {
    let terminal = Terminal::with(Some(Arc::new(Gone)), Box::new(Gone));
    set_bar(&terminal, "live");
    for _ in 0..2 {
        let refused = terminal.write_lines(b"a line\n").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        terminal.update_bar(|bar| bar.set_message("still live"));
    }
    terminal.remove_bar();
}

#[test]
fn the_cursor_is_in_column_0_after_drawing_and_a_hidden_bar_stays_hidden() {
    let (terminal, screen) = in_memory(20);
    set_bar(&terminal, "live  523/s");
    // Another program prints text without a line break.
    screen.write_str("{}").unwrap();
    assert!(screen.contents().starts_with("{}ve"), "{:?}", screen.contents());
    terminal.update_bar(|bar| bar.set_message("live  524/s"));
    terminal.hide_bar();
    assert_eq!(screen.contents(), "");
    screen.write_str("half a line").unwrap();
    terminal.update_bar(ProgressBar::force_draw);
    assert_eq!(screen.contents(), "half a line");
    screen.write_str(", and its rest\r\n").unwrap();
    terminal.show_bar();
    terminal.update_bar(ProgressBar::force_draw);
    assert_eq!(screen.contents().lines().last(), Some("live  524/s"));
}

#[test]
fn nothing_is_drawn_in_the_background() {
    let screen = InMemoryTerm::new(8, 40);
    let lines = Box::new(Lines(screen.clone()));
    let terminal = Terminal::with_foreground_check(Some(Arc::new(screen.clone())), lines, || false);
    set_bar(&terminal, "never seen");
    assert_eq!(screen.contents(), "");
    terminal.write_lines(b"a line\n").unwrap();
    terminal.remove_bar();
    assert_eq!(screen.contents(), "a line");
}
