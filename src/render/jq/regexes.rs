//! Compiled regular expressions of the `regex` crate, with jq's flags, limited in size, and cached
//! across events.

use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{self, pikevm};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The most bytes of a compiled expression. `\p{L}{50}` takes about half of it.
const MOST_COMPILED_BYTES: usize = 4 << 20;
/// The most bytes of each cache of states that a search fills.
const MOST_CACHE_BYTES: usize = 1 << 20;
/// The deepest nesting of groups.
const MOST_NESTING: u32 = 100;
/// The most bytes of an expression's text.
const MOST_PATTERN_BYTES: usize = 64 * 1024;
/// The most cached expressions that are calculated, not constant.
const MOST_CALCULATED: usize = 8;

/// Why a regular expression can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// jq has no such flag.
    #[error("{0:?} is not a flag of a regular expression: the flags are g, i, l, n, p, s and x")]
    Flag(char),
    /// The syntax is wrong.
    #[error("the regular expression {pattern:?} is invalid: {why}")]
    Syntax {
        /// The start of the expression.
        pattern: String,
        /// The parser's reason, on one line.
        why: String,
    },
    /// The compiled expression would need too much memory.
    #[error("the regular expression {0:?} is too large when compiled")]
    TooLarge(String),
}

/// A compiled expression with its flags.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// Finds the longest match instead of the first alternative's: flag `l`.
    longest: Option<pikevm::PikeVM>,
    /// Flag `g`: all matches and not only the first.
    pub is_global: bool,
    /// Flag `n`: no empty matches.
    pub ignores_empty: bool,
}

/// The groups of one match, the whole first; `None` for a group that took no part.
pub type Groups = Vec<Option<Range<usize>>>;

impl Pattern {
    /// Compiles an expression with jq's flags.
    ///
    /// # Errors
    /// [`RegexError`].
    pub fn new(text: &str, flags: &str) -> Result<Self, RegexError> {
        let allowed = |flag: &char| "gilnpsx".contains(*flag);
        if let Some(flag) = flags.chars().find(|flag| !allowed(flag)) {
            return Err(RegexError::Flag(flag));
        }
        let has = |flag| flags.contains(flag);
        if text.len() > MOST_PATTERN_BYTES {
            return Err(RegexError::TooLarge(shown(text)));
        }
        // Flag `s` is the default here: ^ and $ match at the ends of the text only.
        let regex = RegexBuilder::new(text)
            .case_insensitive(has('i'))
            .ignore_whitespace(has('x'))
            .dot_matches_new_line(has('p'))
            .size_limit(MOST_COMPILED_BYTES)
            .dfa_size_limit(MOST_CACHE_BYTES)
            .nest_limit(MOST_NESTING)
            .build()
            .map_err(|error| regex_error(text, &error))?;
        let longest = match has('l') {
            true => Some(longest(text, has).ok_or_else(|| RegexError::TooLarge(shown(text)))?),
            false => None,
        };
        Ok(Self { regex, longest, is_global: has('g'), ignores_empty: has('n') })
    }

    /// Returns whether anything in `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        if self.ignores_empty {
            return self.next(text, 0).is_some();
        }
        self.regex.is_match(text)
    }

    /// Returns the first match at or after the byte `from`.
    pub fn next(&self, text: &str, mut from: usize) -> Option<Groups> {
        while from <= text.len() {
            let groups = self.captures(text, from)?;
            let whole = groups.first().cloned().flatten()?;
            if !(self.ignores_empty && whole.is_empty()) {
                return Some(groups);
            }
            from = after_empty(text, whole.end);
        }
        None
    }

    fn captures(&self, text: &str, from: usize) -> Option<Groups> {
        let first = self.regex.captures_at(text, from)?;
        let Some(longest) = &self.longest else {
            return Some(first.iter().map(|group| group.map(|group| group.range())).collect());
        };
        let start = first.get(0)?.start();
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let mut captures = longest.create_captures();
        longest.captures(&mut longest.create_cache(), input, &mut captures);
        let groups = (0..captures.group_len())
            .map(|group| captures.get_group(group).map(|span| span.range()));
        Some(groups.collect())
    }

    /// Returns the names of the groups, the whole match first.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.regex.capture_names()
    }
}

/// Returns where to search on after an empty match at `at`.
pub fn after_empty(text: &str, at: usize) -> usize {
    let next = text.get(at..).and_then(|rest| rest.chars().next());
    at + next.map_or(1, char::len_utf8)
}

fn longest(text: &str, has: impl Fn(char) -> bool) -> Option<pikevm::PikeVM> {
    let syntax = syntax::Config::new()
        .case_insensitive(has('i'))
        .ignore_whitespace(has('x'))
        .dot_matches_new_line(has('p'))
        .nest_limit(MOST_NESTING);
    let nfa = thompson::Config::new().nfa_size_limit(Some(MOST_COMPILED_BYTES));
    pikevm::Builder::new()
        .configure(pikevm::Config::new().match_kind(MatchKind::All))
        .syntax(syntax)
        .thompson(nfa)
        .build(text)
        .ok()
}

fn regex_error(text: &str, error: &regex::Error) -> RegexError {
    match error {
        regex::Error::CompiledTooBig(_) => RegexError::TooLarge(shown(text)),
        error => {
            // The parser draws the expression over several lines; its last line says why.
            let message = error.to_string();
            let why = message.lines().last().unwrap_or_default();
            let why = why.strip_prefix("error: ").unwrap_or(why);
            RegexError::Syntax { pattern: shown(text), why: why.to_owned() }
        }
    }
}

/// Returns the beginning of an expression, for an error message.
fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The compiled expressions of one program.
#[derive(Debug, Default)]
pub struct Regexes {
    /// Those that are constants of the program.
    constant: Vec<Kept>,
    /// The most recent ones that the program calculated.
    calculated: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    text: String,
    flags: String,
    pattern: Arc<Pattern>,
}

impl Kept {
    fn compile(text: &str, flags: &str) -> Result<Self, RegexError> {
        let pattern = Arc::new(Pattern::new(text, flags)?);
        Ok(Self { text: text.to_owned(), flags: flags.to_owned(), pattern })
    }
}

impl Regexes {
    /// Compiles a constant of the program, and keeps it.
    ///
    /// # Errors
    /// [`RegexError`].
    pub fn keep_constant(&mut self, text: &str, flags: &str) -> Result<(), RegexError> {
        if self.find(text, flags).is_none() {
            self.constant.push(Kept::compile(text, flags)?);
        }
        Ok(())
    }

    /// Returns a kept expression.
    pub fn find(&self, text: &str, flags: &str) -> Option<Arc<Pattern>> {
        let kept = self.constant.iter().chain(&self.calculated);
        let mut kept = kept.filter(|kept| kept.text == text && kept.flags == flags);
        kept.next().map(|kept| Arc::clone(&kept.pattern))
    }

    /// Compiles an expression that was calculated, and keeps it for a while.
    ///
    /// # Errors
    /// [`RegexError`].
    pub fn compile(&mut self, text: &str, flags: &str) -> Result<Arc<Pattern>, RegexError> {
        let kept = Kept::compile(text, flags)?;
        let pattern = Arc::clone(&kept.pattern);
        if self.calculated.len() >= MOST_CALCULATED {
            self.calculated.remove(0);
        }
        self.calculated.push(kept);
        Ok(pattern)
    }
}
