//! The help of `top`: its keys, and what its figures mean.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::ScreenData;
use crate::display::units::duration;
use crate::top::screen::table::write_text;
use crate::top::time_series::COMPLETE_SLICES;

/// Keys and what they do. With its key, no line has more than 60 columns.
const KEYS: [(&str, &str); 12] = [
    ("Enter", "latest events of the collection or account"),
    ("Esc", "back to the tables; from there, quit"),
    ("q, Ctrl-C", "quit"),
    ("p, Space", "freeze the screen; counting continues"),
    ("Tab", "next table; Shift-Tab the previous one"),
    ("j k, arrows", "select a row; also PgUp PgDn Home End"),
    ("s", "sort by rate, by total or by name"),
    ("r", "reverse the order"),
    ("/", "only names that contain a text"),
    ("o", "only creates, updates or deletes (collections)"),
    ("z", "enlarge the table, or show all tables again"),
    ("Ctrl-L", "draw the screen again; Ctrl-Z suspends"),
];

/// Draws the help.
pub fn draw(frame: &mut Frame<'_>, area: Rect, data: &ScreenData<'_>) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let columns = usize::from(area.width);
    let mut lines = area.y..area.bottom();
    let mut write = |x: u16, y: u16, text: &str, style: Style| {
        let room = columns.saturating_sub(usize::from(x));
        write_text(frame.buffer_mut(), (area.x + x, y), text, room, style);
    };
    for (key, meaning) in KEYS {
        let Some(y) = lines.next() else { return };
        write(0, y, key, bold);
        write(13, y, meaning, Style::new());
    }
    // An empty line, if there is room.
    if lines.len() > 3 {
        lines.next();
    }
    let slice = data.aggregate.slice();
    let bars = duration(slice * COMPLETE_SLICES as u32);
    let meanings = [
        "RATE  events per second in the time of --window".to_owned(),
        format!("SHARE  part of these events; LAST {bars}  a bar per {} s", slice.as_secs()),
        "duplicates  events that came again and are not counted".to_owned(),
    ];
    for meaning in meanings {
        let Some(y) = lines.next() else { return };
        write(0, y, &meaning, Style::new());
    }
}
