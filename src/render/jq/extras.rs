//! The filters that an expression can use: those of jaq's crates, except those that `bounds`
//! replaces, and filters of jq that jaq's crates lack.

use std::cmp::Reverse;
use std::rc::Rc;

use jaq_core::load::parse::Def;
use jaq_core::native::{Fun, bome, unary, v};
use jaq_core::{Error, Native, ValR, load};
use jaq_json::{Num, Val};

use super::bounds::{self, Bounded};
use super::{matching, targets};
use crate::render::table::{escape_tab, write_cell};

/// Filters that are written in jq's language.
const DEFINITIONS: &str = include_str!("library.jq");
/// Definitions of jaq that the library replaces.
const REPLACED: [&str; 2] = ["del", "delpaths"];

/// Returns all filters that are definitions.
pub fn defs<'s>() -> impl Iterator<Item = Def<&'s str>> {
    let ours = load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let theirs = theirs.filter(|def| !REPLACED.contains(&def.name));
    // The lifetimes must match for the library and the expression to be chained.
    let as_short = |def: Def<&'static str>| -> Def<&'s str> { bounds::guard_library(def) };
    let ours = ours.into_iter().map(|mut def| {
        targets::create(&mut def.body, def.name == "getpath");
        def
    });
    theirs.chain(ours).map(as_short)
}

/// Returns all native filters.
pub fn funs() -> impl Iterator<Item = Fun<Bounded>> {
    let core = jaq_core::funs().filter(|(name, _, _)| !bounds::replaces(name));
    let theirs = core
        .chain(jaq_std::funs().filter(|(name, _, _)| !matching::replaces(name)))
        .chain(jaq_json::funs());
    let theirs = theirs.map(|(name, arguments, run)| match name {
        // The library wraps these.
        "strftime" => ("strftime_utc", arguments, run),
        "strflocaltime" => ("strftime_local", arguments, run),
        name => (name, arguments, run),
    });
    theirs.chain(bounds::funs()).chain(targets::funs()).chain(matching::funs()).chain(ours())
}

fn ours() -> impl Iterator<Item = Fun<Bounded>> {
    [
        ("csv_row", v(0), Native::new(|cv| bome(row(&cv.1, b",", csv_cell)))),
        ("tsv_row", v(0), Native::new(|cv| bome(row(&cv.1, b"\t", tsv_cell)))),
        ("c_locale", v(0), Native::new(|cv| bome(c_locale(&cv.1)))),
        ("delpaths", v(1), Native::new(|cv| unary(cv, |value, paths| del_paths(value, &paths)))),
    ]
    .into_iter()
}

type Cell = fn(&mut Vec<u8>, &Val) -> Result<(), Error<Val>>;

/// Writes an array of scalars as one row, like jq's `@csv` and `@tsv`.
fn row(value: &Val, between: &[u8], cell: Cell) -> ValR<Val> {
    let Val::Arr(items) = value else { return Err(Error::typ(value.clone(), "array")) };
    let mut row = Vec::new();
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            row.extend_from_slice(between);
        }
        if matches!(item, Val::Arr(_) | Val::Obj(_)) {
            return Err(Error::typ(item.clone(), "cell of a row"));
        }
        cell(&mut row, item)?;
    }
    Ok(Val::utf8_str(row))
}

fn csv_cell(row: &mut Vec<u8>, value: &Val) -> Result<(), Error<Val>> {
    let Val::TStr(text) = value else { return plain_cell(row, value) };
    row.push(b'"');
    for byte in text.iter() {
        match byte {
            b'"' => row.extend_from_slice(b"\"\""),
            byte => row.push(*byte),
        }
    }
    row.push(b'"');
    Ok(())
}

fn tsv_cell(row: &mut Vec<u8>, value: &Val) -> Result<(), Error<Val>> {
    let Val::TStr(text) = value else { return plain_cell(row, value) };
    escape_tab(row, text);
    Ok(())
}

fn plain_cell(row: &mut Vec<u8>, value: &Val) -> Result<(), Error<Val>> {
    write_cell(row, Some(value)).map_err(Error::str)
}

/// Replaces the locale-dependent parts of a `strftime` format by those of the C locale.
fn c_locale(format: &Val) -> ValR<Val> {
    let Val::TStr(format) = format else { return Err(Error::typ(format.clone(), "string")) };
    let mut out = Vec::with_capacity(format.len());
    let mut bytes = format.iter().copied();
    while let Some(byte) = bytes.next() {
        let kind = if byte == b'%' { bytes.next() } else { None };
        match (byte, kind) {
            (b'%', Some(b'c')) => out.extend_from_slice(b"%a %b %e %H:%M:%S %Y"),
            (b'%', Some(b'x')) => out.extend_from_slice(b"%m/%d/%y"),
            (b'%', Some(b'X')) => out.extend_from_slice(b"%H:%M:%S"),
            (b'%', Some(b'r')) => out.extend_from_slice(b"%I:%M:%S %p"),
            (byte, kind) => {
                out.push(byte);
                out.extend(kind);
            }
        }
    }
    Ok(Val::utf8_str(out))
}

/// Deletes the values at `paths`, the last first, so that no deletion moves another one's target.
/// The other values keep their order.
fn del_paths(value: Val, paths: &Val) -> ValR<Val> {
    let Val::Arr(paths) = paths else { return Err(Error::typ(paths.clone(), "array")) };
    let mut paths: Vec<&Val> = paths.iter().collect();
    paths.sort_by_key(|path| Reverse(*path));
    paths.into_iter().try_fold(value, |value, path| match path {
        Val::Arr(path) => del_path(value, path),
        other => Err(Error::typ(other.clone(), "array")),
    })
}

fn del_path(mut value: Val, path: &[Val]) -> ValR<Val> {
    let Some((key, rest)) = path.split_first() else { return Ok(Val::Null) };
    match (&mut value, key) {
        (Val::Null, _) => {}
        (Val::Obj(members), Val::TStr(_)) => {
            let Some(index) = members.get_index_of(key) else { return Ok(value) };
            let members = Rc::make_mut(members);
            if rest.is_empty() {
                members.shift_remove_index(index);
            } else if let Some((_, member)) = members.get_index_mut(index) {
                *member = del_path(std::mem::take(member), rest)?;
            }
        }
        (Val::Arr(items), Val::Num(Num::Int(index))) => {
            let length = isize::try_from(items.len()).unwrap_or(isize::MAX);
            let index = if *index < 0 { index + length } else { *index };
            let Some(index) = usize::try_from(index).ok().filter(|index| *index < items.len())
            else {
                return Ok(value);
            };
            let items = Rc::make_mut(items);
            if rest.is_empty() {
                items.remove(index);
            } else if let Some(item) = items.get_mut(index) {
                *item = del_path(std::mem::take(item), rest)?;
            }
        }
        (Val::Arr(items), Val::Obj(_)) if rest.is_empty() => del_slice(items, key)?,
        _ => return Err(Error::index(value, key.clone())),
    }
    Ok(value)
}

/// Deletes `.[from:to]`, which is an object with `start` and `end` in a path.
fn del_slice(items: &mut Rc<Vec<Val>>, slice: &Val) -> Result<(), Error<Val>> {
    let length = items.len();
    let place = |name: &str, otherwise: usize| match crate::render::fields::member(slice, name) {
        None | Some(Val::Null) => Ok(otherwise),
        Some(Val::Num(Num::Int(at))) if *at < 0 => Ok(length.saturating_sub(at.unsigned_abs())),
        Some(Val::Num(Num::Int(at))) => Ok(at.unsigned_abs().min(length)),
        Some(other) => Err(Error::typ(other.clone(), "integer")),
    };
    let (from, to) = (place("start", 0)?, place("end", length)?);
    if from < to {
        Rc::make_mut(items).drain(from..to);
    }
    Ok(())
}
