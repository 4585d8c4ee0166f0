//! JSON to canonical DAG-CBOR: `$link` and `$bytes` objects become links and bytes, keys are
//! put in order, numbers take the shortest form (protocol/jetstream-v2-archive.md §6). Goes by
//! a tree, since nothing waits for it.

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

/// Appends the value. `Err` holds an integer beyond signed 64 bits, which DAG-CBOR as it is
/// read here can't hold.
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
        // What is no CID or no base64 stays the object that it is.
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

/// With or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_NOPAD.decode(text.as_bytes()).ok();
    bytes.or_else(|| BASE64.decode(text.as_bytes()).ok())
}

fn append_number(number: &Number, out: &mut Vec<u8>) -> Result<(), Number> {
    match (number.as_i64(), number.as_f64()) {
        (Some(n), _) if n < 0 => append_head(NEGATIVE, n.unsigned_abs() - 1, out),
        (Some(n), _) => append_head(UNSIGNED, n.unsigned_abs(), out),
        (None, Some(float)) if number.is_f64() => {
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

/// The first byte of an item, and its number in as few bytes as it takes.
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
