//! jq's filters for regular expressions, and the compile-time check of constant ones.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use jaq_core::box_iter::box_once;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::native::{Fun, v};
use jaq_core::{Cv, Error, Exn, Native, ValT as _};
use jaq_json::Val;

use super::bounds::{Allowance, Bounded};
use super::fault::Fault;
use super::regexes::{Groups, Pattern, Regexes, after_empty};
use super::visit::each_child;

/// Steps per compiled regular expression: at most a hundred can be compiled per event.
const COMPILE_STEPS: u32 = 1_000;
/// Bytes of searched text that cost as much as one step.
const BYTES_A_STEP: usize = 4096;

type JqResult<'a, T> = Result<T, Exn<'a, Val>>;

/// Returns the filters that the definitions of jq build on.
pub fn funs() -> impl Iterator<Item = Fun<Bounded>> {
    [
        ("is_match", v(2), Native::new(|cv| box_once(is_match(cv)))),
        ("matches", v(2), Native::new(|cv| box_once(search(cv, false, true)))),
        ("split_matches", v(2), Native::new(|cv| box_once(search(cv, true, true)))),
        ("split_", v(2), Native::new(|cv| box_once(search(cv, true, false)))),
    ]
    .into_iter()
}

/// Returns whether these filters replace jaq's filter of this name.
pub fn replaces(name: &str) -> bool {
    matches!(name, "matches" | "split_matches" | "split_")
}

fn is_match<'a>(mut cv: Cv<'a, Bounded>) -> JqResult<'a, Val> {
    let (flags, regex) = (cv.0.pop_var(), cv.0.pop_var());
    let allowance = *cv.0.data();
    let pattern = pattern(allowance, &regex, &flags)?;
    let text = text_of(&cv.1)?;
    allowance.spend(cost(&text), &Val::Null)?;
    Ok(Val::Bool(pattern.is_match(&text)))
}

/// Searches, and returns what lies between the matches, the matches, or both in turn.
fn search<'a>(mut cv: Cv<'a, Bounded>, between: bool, matches: bool) -> JqResult<'a, Val> {
    let (flags, regex) = (cv.0.pop_var(), cv.0.pop_var());
    let allowance = *cv.0.data();
    let pattern = pattern(allowance, &regex, &flags)?;
    let text = text_of(&cv.1)?;
    allowance.spend(cost(&text), &Val::Null)?;
    let names: Vec<Option<&str>> = pattern.names().collect();
    let mut found = Vec::new();
    let (mut from, mut last) = (0, 0);
    let mut chars = Chars { text: &text, byte: 0, count: 0 };
    while let Some(groups) = pattern.next(&text, from) {
        allowance.spend(1, &Val::Null)?;
        let Some(whole) = groups.first().cloned().flatten() else { break };
        if between {
            found.push(string(text.get(last..whole.start)));
        }
        if matches {
            found.push(described(&text, &groups, &names, &mut chars)?);
        }
        last = whole.end;
        from = if whole.is_empty() { after_empty(&text, whole.end) } else { whole.end };
        if !pattern.is_global || from > text.len() {
            break;
        }
    }
    if between {
        found.push(string(text.get(last..)));
    }
    Ok(found.into_iter().collect())
}

fn cost(text: &str) -> u32 {
    u32::try_from(text.len() / BYTES_A_STEP).unwrap_or(u32::MAX)
}

/// Returns the input as text. A string of bytes that are no UTF-8 comes from `@base64d` alone.
fn text_of<'a>(value: &Val) -> JqResult<'a, Cow<'_, str>> {
    match value {
        Val::TStr(text) => Ok(String::from_utf8_lossy(text)),
        other => {
            Err(Error::str(format_args!("{other} cannot be matched, as it is not a string")).into())
        }
    }
}

/// Returns the compiled expression. As in jq the first argument may be `[REGEX, FLAGS]`.
fn pattern<'a>(allowance: Allowance<'a>, regex: &Val, flags: &Val) -> JqResult<'a, Arc<Pattern>> {
    let (regex, flags) = match regex {
        Val::Arr(pair) => match &***pair {
            [regex] => (regex, flags),
            [regex, flags] => (regex, flags),
            _ => (&Val::Null, flags),
        },
        regex => (regex, flags),
    };
    let (Val::TStr(regex), Val::TStr(_) | Val::Null) = (regex, flags) else {
        let reason = "a regular expression and its flags must be strings";
        return Err(Error::str(reason).into());
    };
    let regex = String::from_utf8_lossy(regex);
    let flags = match flags {
        Val::TStr(flags) => String::from_utf8_lossy(flags),
        _ => Cow::Borrowed(""),
    };
    let kept =
        allowance.regexes.lock().unwrap_or_else(PoisonError::into_inner).find(&regex, &flags);
    if let Some(kept) = kept {
        return Ok(kept);
    }
    allowance.spend(COMPILE_STEPS, &Val::Null)?;
    let mut regexes = allowance.regexes.lock().unwrap_or_else(PoisonError::into_inner);
    regexes.compile(&regex, &flags).map_err(|error| Error::str(error).into())
}

/// Counts characters before a byte. Increasing bytes are counted incrementally.
struct Chars<'t> {
    text: &'t str,
    byte: usize,
    count: usize,
}

impl Chars<'_> {
    /// Returns the number of characters before `byte`.
    fn before(&mut self, byte: usize) -> usize {
        let (from, base) = if byte >= self.byte { (self.byte, self.count) } else { (0, 0) };
        let count = base + self.text.get(from..byte).map_or(0, |text| text.chars().count());
        (self.byte, self.count) = (byte, count);
        count
    }
}

/// Describes a match as jq does: the whole and then the groups, with offsets in characters.
fn described<'a>(
    text: &str,
    groups: &Groups,
    names: &[Option<&str>],
    chars: &mut Chars<'_>,
) -> JqResult<'a, Val> {
    let start = groups.first().cloned().flatten().map_or(0, |whole| whole.start);
    let base = chars.before(start);
    let described = groups.iter().zip(names).enumerate().map(|(number, (group, name))| {
        let inside =
            group.clone().and_then(|group| Some((text.get(start..group.start)?, text.get(group)?)));
        let (offset, length, what) = match inside {
            Some((before, inside)) => (
                isize::try_from(base + before.chars().count()).unwrap_or(isize::MAX),
                inside.chars().count(),
                string(Some(inside)),
            ),
            None => (-1, 0, Val::Null),
        };
        let members = [
            (key("offset"), Val::from(offset)),
            (key("length"), Val::from(length)),
            (key("string"), what),
        ];
        let name = (number > 0).then(|| (key("name"), name.map_or(Val::Null, |n| string(Some(n)))));
        Val::from_map(members.into_iter().chain(name))
    });
    described.collect::<Result<Val, Error<Val>>>().map_err(Exn::from)
}

fn key(name: &str) -> Val {
    string(Some(name))
}

fn string(text: Option<&str>) -> Val {
    Val::utf8_str(text.unwrap_or_default().as_bytes().to_vec())
}

/// The filters whose first argument is a regular expression, with the number of arguments and the
/// place of the flags, if the filter takes flags.
const WITH_REGEX: [(&str, usize, Option<usize>); 13] = [
    ("test", 1, None),
    ("test", 2, Some(1)),
    ("match", 1, None),
    ("match", 2, Some(1)),
    ("capture", 1, None),
    ("capture", 2, Some(1)),
    ("scan", 1, None),
    ("scan", 2, Some(1)),
    ("split", 2, Some(1)),
    ("splits", 1, None),
    ("splits", 2, Some(1)),
    ("sub", 2, None),
    ("sub", 3, Some(2)),
];

/// Compiles the constant regular expressions of `term`, a part of `text`.
///
/// # Errors
/// [`Fault`] at the first that is wrong.
pub fn check_constants(term: &mut Term<&str>, text: &str) -> Result<Regexes, Fault> {
    let mut defined = Vec::new();
    collect_defined(term, &mut defined);
    let (mut regexes, mut fault) = (Regexes::default(), None);
    check(term, text, &defined, &mut regexes, &mut fault);
    fault.map_or(Ok(regexes), Err)
}

fn collect_defined<'s>(term: &mut Term<&'s str>, defined: &mut Vec<&'s str>) {
    if let Term::Def(defs, _) = term {
        defined.extend(defs.iter().map(|def| def.name));
    }
    each_child(term, &mut |child| collect_defined(child, defined));
}

fn check<'s>(
    term: &mut Term<&'s str>,
    text: &str,
    defined: &[&'s str],
    regexes: &mut Regexes,
    fault: &mut Option<Fault>,
) {
    if let Term::Call(name, arguments) = term
        && !defined.contains(name)
        && fault.is_none()
        && let Some((regex, flags, at)) = constants(name, arguments)
        && let Err(error) = regexes.keep_constant(&regex, &flags)
    {
        *fault = Some(Fault::new(text, error.to_string(), at));
    }
    each_child(term, &mut |child| check(child, text, defined, regexes, fault));
}

/// Returns the regular expression and the flags of a call, if both are constants, and the place
/// of the expression.
fn constants<'s>(name: &str, arguments: &[Term<&'s str>]) -> Option<(String, String, &'s str)> {
    // gsub is sub with a flag more.
    let (name, more) = if name == "gsub" { ("sub", "g") } else { (name, "") };
    let more = if matches!(name, "scan" | "split" | "splits") { "g" } else { more };
    let known = WITH_REGEX.iter().find(|(known, n, _)| *known == name && *n == arguments.len());
    let (_, _, flags_at) = known?;
    let first = arguments.first()?;
    if let Term::Arr(Some(pair)) = first {
        let Term::BinOp(regex, BinaryOp::Comma, flags) = &**pair else { return None };
        let (regex, at) = constant(regex)?;
        return Some((regex, constant(flags)?.0, at));
    }
    let (regex, at) = constant(first)?;
    let flags = match flags_at.and_then(|at| arguments.get(at)) {
        None => String::new(),
        Some(Term::Call("null", _)) => String::new(),
        Some(flags) => constant(flags)?.0,
    };
    let flags =
        if name == "split" || name == "splits" { flags + more } else { more.to_owned() + &flags };
    Some((regex, flags, at))
}

/// Returns the text of a constant string, and its place.
fn constant<'s>(term: &Term<&'s str>) -> Option<(String, &'s str)> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    let mut place = None;
    for part in parts {
        match part {
            StrPart::Str(part) => {
                text.push_str(part);
                place = place.or(Some(*part));
            }
            StrPart::Char(character) => text.push(*character),
            StrPart::Term(_) => return None,
        }
    }
    Some((text, place.unwrap_or_default()))
}
