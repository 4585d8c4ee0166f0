//! Every rule of protocol/jetstream-v2-archive.md §6, kept and broken.

use super::*;

/// The bytes of a CID of DAG-CBOR whose digest is all sevens,
const CID_HEX: &str =
    "01711220 0707070707070707 0707070707070707 0707070707070707 0707070707070707";
/// and its text.
const CID_TEXT: &str = "bafyreiaha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4";

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.replace(' ', "").as_bytes()).unwrap()
}

fn json(cbor: &[u8]) -> Result<String, CborError> {
    let mut out = b"kept".to_vec();
    let outcome = Transcoder::new().append(cbor, &mut out);
    assert!(out.starts_with(b"kept"));
    if outcome.is_err() {
        assert_eq!(out, b"kept", "a failed value left something behind");
    }
    outcome.map(|()| String::from_utf8(out.split_off(4)).unwrap())
}

#[test]
fn what_the_rules_allow_is_printed_as_the_server_does() {
    let link = format!("d82a 5825 00 {CID_HEX}");
    let linked = format!(r#"{{"$link":"{CID_TEXT}"}}"#);
    for (cbor, expected) in [
        ("f6", "null"),
        ("f4", "false"),
        ("f5", "true"),
        ("00", "0"),
        ("17", "23"),
        ("1818", "24"),
        ("19 0100", "256"),
        ("1a 00010000", "65536"),
        ("1b 0000000100000000", "4294967296"),
        ("1b 7fffffffffffffff", "9223372036854775807"),
        ("20", "-1"),
        ("3b 7fffffffffffffff", "-9223372036854775808"),
        ("60", r#""""#),
        ("63 616263", r#""abc""#),
        ("66 3c263e e282ac", "\"\\u003c\\u0026\\u003e€\""),
        ("63 e280a8", r#""\u2028""#),
        ("40", r#"{"$bytes":""}"#),
        ("41 ff", r#"{"$bytes":"/w"}"#),
        ("44 fbff0102", r#"{"$bytes":"+/8BAg"}"#),
        ("80", "[]"),
        ("83 01 80 f6", "[1,[],null]"),
        ("a0", "{}"),
        ("a1 61 61 01", r#"{"a":1}"#),
        // Shorter keys come first in DAG-CBOR, by bytes in JSON.
        ("a3 61 62 01 61 63 02 62 6161 03", r#"{"aa":3,"b":1,"c":2}"#),
        ("a2 61 7a a2 61 79 01 62 6161 02 62 6161 80", r#"{"aa":[],"z":{"aa":2,"y":1}}"#),
        ("fb 3ff8000000000000", "1.5"),
        ("fb 4024000000000000", "10"),
        ("fb 8000000000000000", "-0"),
        ("fb 444b1ae4d6e2ef50", "1e+21"),
        (&link, &linked),
    ] {
        assert_eq!(json(&hex(cbor)).as_deref(), Ok(expected), "{cbor}");
    }
}

#[test]
fn what_the_rules_forbid_is_refused_where_it_stands() {
    let bad_link = format!("d82a 5825 01 {CID_HEX}");
    let long_cid = format!("d82a 5826 00 {CID_HEX} 00");
    for (cbor, what, at) in [
        ("", "the end is missing", 0),
        ("18", "the end is missing", 1),
        ("fb 00", "the end is missing", 1),
        ("82 01", "an array longer than its bytes", 0),
        ("81", "an array longer than its bytes", 0),
        ("a1 61 61", "the end is missing", 3),
        ("01 01", "something follows the value", 1),
        ("5f 41 00 ff", "an indefinite length", 0),
        ("7f 61 61 ff", "an indefinite length", 0),
        ("9f ff", "an indefinite length", 0),
        ("81 bf ff", "an indefinite length", 1),
        ("ff", "a break without an indefinite length", 0),
        ("1c", "a reserved length", 0),
        ("18 17", "a number or length longer than needed", 0),
        ("19 00ff", "a number or length longer than needed", 0),
        ("1a 0000ffff", "a number or length longer than needed", 0),
        ("1b 00000000ffffffff", "a number or length longer than needed", 0),
        ("78 01 61", "a number or length longer than needed", 0),
        ("58 01 61", "a number or length longer than needed", 0),
        ("98 01 61", "a number or length longer than needed", 0),
        ("b8 00", "a number or length longer than needed", 0),
        ("d8 2a 58 01 00", "a number or length longer than needed", 2),
        ("d9 002a 41 00", "a number or length longer than needed", 0),
        ("1b 8000000000000000", "an integer beyond 64 bits", 0),
        ("3b 8000000000000000", "an integer beyond 64 bits", 0),
        ("f7", "a simple value other than false, true and null", 0),
        ("f8 20", "a simple value other than false, true and null", 0),
        ("e0", "a simple value other than false, true and null", 0),
        ("f9 3c00", "a float of less than 64 bits", 0),
        ("fa 3f800000", "a float of less than 64 bits", 0),
        ("fb 7ff0000000000000", "a float that is not a number", 0),
        ("fb fff0000000000000", "a float that is not a number", 0),
        ("fb 7ff8000000000000", "a float that is not a number", 0),
        ("c1 00", "a tag other than 42", 0),
        ("d8 2b 41 00", "a tag other than 42", 0),
        ("d8 2a 61 00", "a link that is not a byte string", 0),
        ("d8 2a 40", "a link that does not start with zero", 0),
        ("d8 2a 41 00", "a link that holds no CID", 0),
        (&bad_link, "a link that does not start with zero", 0),
        (&long_cid, "a link that holds no CID", 0),
        ("a1 01 01", "a key that is not text", 1),
        ("a1 41 61 01", "a key that is not text", 1),
        ("a2 61 61 01 61 61 02", "keys out of order, or one twice", 4),
        ("a2 61 62 01 61 61 02", "keys out of order, or one twice", 4),
        ("a2 62 6161 01 61 62 02", "keys out of order, or one twice", 5),
        ("61 ff", "text that is not UTF-8", 1),
        ("63 eda080", "text that is not UTF-8", 1),
        ("a1 62 61c0 01", "text that is not UTF-8", 3),
        ("7b 7fffffffffffffff", "a string longer than its bytes", 0),
        ("9b 7fffffffffffffff", "an array longer than its bytes", 0),
        ("bb 7fffffffffffffff", "a map longer than its bytes", 0),
    ] {
        assert_eq!(json(&hex(cbor)), Err(CborError { what, at }), "{cbor}");
    }
}

#[test]
fn nesting_ends_at_128() {
    let nested = |depth: usize, open: &[u8]| [open.repeat(depth), vec![0x00]].concat();
    for open in [&[0x81][..], &[0xa1, 0x61, b'a']] {
        assert!(json(&nested(MAX_DEPTH, open)).is_ok());
        let error = json(&nested(MAX_DEPTH + 1, open)).unwrap_err();
        assert_eq!(error.what, "nested more than 128 deep");
        assert!(json(&nested(1_000_000, open)).is_err());
    }
}

#[test]
fn a_string_may_have_a_mebibyte() {
    let string = |major: u8, bytes: usize| {
        let mut cbor = vec![major << 5 | 26];
        cbor.extend_from_slice(&(bytes as u32).to_be_bytes());
        cbor.resize(5 + bytes, b'x');
        cbor
    };
    for major in [2, 3] {
        assert!(json(&string(major, 1 << 20)).is_ok());
        let error = json(&string(major, (1 << 20) + 1)).unwrap_err();
        assert_eq!(error.what, "a string of more than 1 MiB");
    }
}

#[test]
fn maps_of_many_members_are_sorted() {
    let mut cbor = vec![0xb9, 0x03, 0xe8];
    let mut keys: Vec<String> = (0..1000).map(|i: u32| (i * 7919 % 1000).to_string()).collect();
    keys.sort_by_key(|key| (key.len(), key.clone()));
    for key in &keys {
        cbor.push(0x60 | key.len() as u8);
        cbor.extend_from_slice(key.as_bytes());
        cbor.push(0xf6);
    }
    keys.sort();
    let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\":null")).collect();
    assert_eq!(json(&cbor).unwrap(), format!("{{{}}}", members.join(",")));
}

#[test]
fn a_failed_value_does_not_touch_the_next_one() {
    let mut transcoder = Transcoder::new();
    let mut out = Vec::new();
    for _ in 0..3 {
        transcoder.append(&hex("a2 61 7a 01 62 6161 a1 61 61 f7"), &mut out).unwrap_err();
        transcoder.append(&hex("a2 61 7a 01 62 6161 02"), &mut out).unwrap();
    }
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"aa":2,"z":1}"#.repeat(3));
}
