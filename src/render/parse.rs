//! Parses an event into a value. Nesting is bounded, because parsing and dropping a value recurse,
//! and servers are not trusted.

use jaq_json::Val;

use super::RenderError;
use crate::event::json_string::string_end;

/// The deepest accepted nesting. Records of the AT Protocol have a few levels.
const MOST_LEVELS: u32 = 1_000;

/// Parses one event.
pub fn parse(event: &[u8]) -> Result<Val, RenderError> {
    if levels(event) > MOST_LEVELS {
        let reason = format!("more than {MOST_LEVELS} levels of arrays and objects");
        return Err(RenderError::Unreadable(reason));
    }
    jaq_json::read::parse_single(event).map_err(|error| RenderError::Unreadable(error.to_string()))
}

/// Returns the depth of the deepest array or object in a JSON text.
fn levels(text: &[u8]) -> u32 {
    let (mut depth, mut deepest): (u32, u32) = (0, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    let text = bytes.as_slice();
    let after = string_end(text, 0).and_then(|end| text.get(end + 1..));
    *bytes = after.unwrap_or_default().iter();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        assert_eq!(levels(br#"{"a":[{"b":"]]]\"[[["}],"c":"\\"}"#), 3);
        assert_eq!(levels(b"1"), 0);
        assert_eq!(levels(br#"{"a":"[[["#), 1);
    }

    #[test]
    fn a_deep_event_is_rejected_without_recursion() {
        let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
        assert!(matches!(parse(&deep), Err(RenderError::Unreadable(_))));
        let fine = [vec![b'['; 900], vec![b']'; 900]].concat();
        assert!(parse(&fine).is_ok());
        assert!(matches!(parse(b"{\"a\":"), Err(RenderError::Unreadable(_))));
    }
}
