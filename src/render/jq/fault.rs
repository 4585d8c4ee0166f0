//! Errors of an expression at compile time, with their place in its text.

use std::fmt;

use jaq_core::compile;
use jaq_core::load::lex::{Lexer, Token};
use jaq_core::load::parse::{Parser, Term};

use super::extras;
use crate::render::text_width;

/// The most columns of the expression that an error shows.
const COLUMNS: usize = 72;

/// Why an expression can't be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    /// The line with the place, and the column of the caret below it.
    line: String,
    column: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, line, column } = self;
        write!(f, "{what}\n  {line}\n  {:column$}^", "")
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Returns a fault at `at`, which must be a subslice of `text`.
    pub(super) fn new(text: &str, what: impl Into<String>, at: &str) -> Self {
        // The parser reports subslices of the text. For any other slice, the place is the end.
        let offset = at.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let (before, after) =
            text.split_at_checked(offset).unwrap_or_else(|| text.split_at(text.len()));
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split('\n').next().unwrap_or_default();
        let (before, after) = (shown(before), shown(after));
        let (before, cut) = last_columns(&before, COLUMNS / 2 + COLUMNS / 4);
        let column = text_width::columns(&before) + usize::from(cut);
        let mark = if cut { "…" } else { "" };
        let after = text_width::cut(&after, COLUMNS - column.min(COLUMNS));
        Self { what: what.into(), line: format!("{mark}{before}{after}"), column }
    }
}

/// Replaces control characters by spaces, so that the caret is below its character.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns the end of `text` in at most `most` columns, and whether it was cut.
fn last_columns(text: &str, most: usize) -> (String, bool) {
    let mut chars = text.chars();
    let mut is_cut = false;
    while text_width::columns(chars.as_str()) > most {
        chars.next();
        is_cut = true;
    }
    (chars.as_str().to_owned(), is_cut)
}

/// Parses an expression.
pub fn parse(text: &str) -> Result<Term<&str>, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new(text, "the expression is empty: . is the whole event", text));
    }
    let tokens = Lexer::new(text).lex().map_err(|errors| match errors.first() {
        Some((expected, found)) => unexpected(text, expected.as_str(), found),
        None => Fault::new(text, "the expression can't be parsed", text),
    })?;
    let parsed = Parser::new(&tokens).parse(|parser| parser.term());
    parsed.map_err(|errors| match errors.first() {
        Some((expected, found)) => {
            unexpected(text, expected.as_str(), Token::opt_as_str(*found, text))
        }
        None => Fault::new(text, "the expression can't be parsed", text),
    })
}

/// Returns the fault that `found` is in place of the expected token.
fn unexpected(text: &str, expected: &str, found: &str) -> Fault {
    let offset = found.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    if text.get(offset..).is_some_and(|rest| rest.starts_with("?//")) {
        let what = "alternative destructuring (?//) is not supported: use if, try or //";
        return Fault::new(text, what, found);
    }
    let word = found.split_whitespace().next().unwrap_or_default();
    let found_there = match word {
        "" => "the expression ends".to_owned(),
        word => format!("there is {}", text_width::cut(&shown(word), 20)),
    };
    Fault::new(text, format!("expected {}, but {found_there}", describe(expected)), found)
}

/// Describes what the parser expects: a class of tokens, or one token.
fn describe(expected: &str) -> String {
    match expected {
        "" | "nothing" => "nothing more".to_owned(),
        "term" | "token" => "a value or a filter".to_owned(),
        "argument" | "identifier" => format!("an {expected}"),
        "variable" | "pattern" | "key" | "string" | "digit" => format!("a {expected}"),
        words if words.starts_with("closing ") => format!("a {words}"),
        words if words.contains(' ') => words.to_owned(),
        token => format!("{token:?}"),
    }
}

/// Returns the fault for the first name that the compiler does not know.
pub fn undefined<P>(text: &str, errors: &compile::Errors<&str, P>) -> Fault {
    let first = errors.iter().flat_map(|(_, errors)| errors).next();
    let Some((name, undefined)) = first else {
        return Fault::new(text, "the expression can't be compiled", text);
    };
    let what = match undefined {
        compile::Undefined::Filter(arity) => unknown_filter(name, *arity),
        other => format!("there is no {} {name}", other.as_str()),
    };
    Fault::new(text, what, name)
}

fn unknown_filter(name: &str, arity: usize) -> String {
    let with = |arity: usize| match arity {
        0 => "without arguments".to_owned(),
        1 => "with 1 argument".to_owned(),
        n => format!("with {n} arguments"),
    };
    if matches!(name, "input" | "inputs") {
        return format!("{name} is not available: each event is .");
    }
    let defs = extras::defs().map(|def| (def.name.to_owned(), def.args.len()));
    let funs = extras::funs().map(|(name, args, _)| (name.to_owned(), args.len()));
    let known: Vec<(String, usize)> = defs.chain(funs).collect();
    let mut arities: Vec<usize> =
        known.iter().filter(|(known, _)| known == name).map(|(_, arity)| *arity).collect();
    arities.sort_unstable();
    if let Some(first) = arities.first() {
        return format!("{name} {} does not exist; {name} {} does", with(arity), with(*first));
    }
    let near = known
        .iter()
        .map(|(known, _)| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| distance * 3 <= known.len().min(name.len()))
        .min();
    match near {
        Some((_, near)) => format!("there is no filter {name}: did you mean {near}?"),
        None => format!("there is no filter {name}"),
    }
}
