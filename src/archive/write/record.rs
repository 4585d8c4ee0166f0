//! Converts JSON into canonical DAG-CBOR: `$link` and `$bytes` objects become links and bytes, keys
//! are sorted, and numbers have the shortest form (protocol/jetstream-v2-archive.md §6). It builds
//! a tree, because its speed does not matter.

use data_encoding::{BASE64, BASE64_NOPAD};
use serde_json::{Map, Number, Value};

use crate::archive::cbor::LINK_TAG;
use crate::archive::cid;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Appends the value. `Err` has an integer that does not fit into 64 bits with a sign and is not
/// the text of a float: the DAG-CBOR that this program reads can't hold it.
pub(super) fn append(value: &Value, out: &mut Vec<u8>) -> Result<(), Number> {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(is) => out.push(if *is { 0xf5 } else { 0xf4 }),
        Value::Number(number) => append_number(number, out)?,
        Value::String(text) => append_text(text, out),
        Value::Array(items) => {
            append_head(ARRAY, items.len() as u64, out);
            for item in items {
                append(item, out)?;
            }
        }
        Value::Object(members) => append_object(members, out)?,
    }
    Ok(())
}

fn append_object(members: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Number> {
    if let (1, Some((key, Value::String(text)))) = (members.len(), members.iter().next()) {
        // If the text is not a CID or not base64, the object stays an object.
        if key == "$link"
            && let Some(cid) = cid::from_text(text)
        {
            append_head(TAG, LINK_TAG, out);
            append_head(BYTES, cid.len() as u64 + 1, out);
            out.push(0);
            out.extend_from_slice(&cid);
            return Ok(());
        }
        if key == "$bytes"
            && let Some(bytes) = base64(text)
        {
            append_head(BYTES, bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
            return Ok(());
        }
    }
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
    append_head(MAP, members.len() as u64, out);
    for (key, value) in members {
        append_text(key, out);
        append(value, out)?;
    }
    Ok(())
}

/// Decodes base64 with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok();
    bytes.or_else(|| BASE64.decode(text.as_bytes()).ok())
}

fn append_number(number: &Number, out: &mut Vec<u8>) -> Result<(), Number> {
    match (number.as_i64(), number.as_f64()) {
        (Some(n), _) if n < 0 => append_head(NEGATIVE, n.unsigned_abs() - 1, out),
        (Some(n), _) => append_head(UNSIGNED, n.unsigned_abs(), out),
        // A server prints a whole float without a point. An integer that does not fit into 64
        // bits with a sign was a float if it has exactly the digits that the float is printed
        // with.
        (None, Some(float)) if number.is_f64() || format!("{float}") == number.to_string() => {
            out.push(0xfb);
            out.extend_from_slice(&float.to_be_bytes());
        }
        _ => return Err(number.clone()),
    }
    Ok(())
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    append_head(TEXT, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Appends the first byte of an item, and its number in the shortest encoding.
fn append_head(major: u8, number: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match number {
        0..24 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_a_server_printed_them_from() {
        for (json, cbor) in [
            ("9223372036854775807", "1b7fffffffffffffff"),
            ("-9223372036854775808", "3b7fffffffffffffff"),
            ("9223372036854776000", "fb43e0000000000000"),
            ("1e+21", "fb444b1ae4d6e2ef50"),
            ("-0", "fb8000000000000000"),
            ("24", "1818"),
        ] {
            let mut out = Vec::new();
            append(&serde_json::from_str(json).unwrap(), &mut out).unwrap();
            assert_eq!(data_encoding::HEXLOWER.encode(&out), cbor, "{json}");
        }
        let beyond: Value = serde_json::from_str("18446744073709551615").unwrap();
        assert!(append(&beyond, &mut Vec::new()).is_err());
    }
}
