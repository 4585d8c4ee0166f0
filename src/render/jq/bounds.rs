//! Limits what an expression may use on one event. An expression can run forever and use all
//! memory, within a single call of the interpreter's iterator, so its caller can't stop it.
//! Therefore its syntax tree is changed before it is compiled: everything that can repeat (a
//! definition that may call itself, `range`, the bodies of `reduce`, `foreach` and `as`) first
//! takes a step, and the number of steps is limited. Products, the one operation whose result can
//! become too large in a single step, are checked before they are calculated.

use std::cell::Cell;
use std::sync::Mutex;

use jaq_core::box_iter::box_once;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::native::{Fun, v};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use jaq_core::{DataT, Error, Exn, Lut, Native, data::HasLut};
use jaq_json::{Num, Val};

use super::regexes::Regexes;

/// The most steps per event, about 10 ms.
pub const MOST_STEPS: u32 = 100_000;
/// The stack size that a thread needs to run expressions.
pub const STACK_BYTES: usize = 64 * 1024 * 1024;
/// The most stack bytes for nested calls. The rest is for dropping nested values, which recurses.
const MOST_STACK_BYTES: usize = 24 * 1024 * 1024;
/// The most bytes of a string, and the most items of an array, at any step.
const MOST_LENGTH: usize = 32 * 1024 * 1024;
/// The most bits of a product of integers, which have arbitrary precision: about 20,000 digits.
const MOST_BITS: u64 = 64 * 1024;

/// The value of the step counter when all steps are used.
pub const OUT_OF_STEPS: u32 = 0;
/// The value of the step counter when the stack limit was exceeded.
pub const OUT_OF_STACK: u32 = u32::MAX;
/// The value of the step counter when a value was too large.
pub const OUT_OF_MEMORY: u32 = u32::MAX - 1;
/// The error text for [`OUT_OF_MEMORY`].
pub const TOO_LARGE: &str = "a value grew too large";

/// The filter that takes a step. Its name is not valid in an expression.
const STEP: &str = "!step";
/// The filter that multiplies, and the factor of `*=`. Their names are not valid in an expression.
const TIMES: &str = "!times";
const FACTOR: &str = "$!factor";

/// The data type of the interpreter: values, and the remaining allowance.
pub struct Bounded;

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = Allowance<'a>;
}

/// The remaining allowance of one run.
#[derive(Clone, Copy)]
pub struct Allowance<'a> {
    lut: &'a Lut<Bounded>,
    steps: &'a Cell<u32>,
    /// The program's compiled regular expressions.
    pub regexes: &'a Mutex<Regexes>,
    /// The stack pointer at the start of the run.
    stack: usize,
}

impl<'a> HasLut<'a, Bounded> for Allowance<'a> {
    fn lut(&self) -> &'a Lut<Bounded> {
        self.lut
    }
}

impl<'a> Allowance<'a> {
    /// Returns an allowance of `steps`, measured from the current stack pointer.
    pub fn new(lut: &'a Lut<Bounded>, steps: &'a Cell<u32>, regexes: &'a Mutex<Regexes>) -> Self {
        Self { lut, steps, regexes, stack: stack_now() }
    }

    /// Takes one step, and checks the size of `value`.
    fn step(&self, value: &Val) -> Result<(), Exn<'a, Val>> {
        self.spend(1, value)
    }

    /// Takes `count` steps, and checks the size of `value`.
    ///
    /// # Errors
    /// A limit is exceeded, now or earlier.
    pub fn spend(&self, count: u32, value: &Val) -> Result<(), Exn<'a, Val>> {
        let steps = self.steps.get();
        let left = match steps {
            OUT_OF_STEPS | OUT_OF_STACK | OUT_OF_MEMORY => steps,
            _ if length(value) > MOST_LENGTH => OUT_OF_MEMORY,
            _ if self.stack.abs_diff(stack_now()) > MOST_STACK_BYTES => OUT_OF_STACK,
            steps => steps.saturating_sub(count),
        };
        self.steps.set(left);
        match left {
            // Every later step fails too, also if the expression catches the error, so every loop
            // ends.
            OUT_OF_STEPS | OUT_OF_STACK | OUT_OF_MEMORY => Err(out_of_bounds()),
            _ => Ok(()),
        }
    }

    /// Multiplies, unless the product would be too large.
    fn product(&self, left: Val, right: Val) -> Result<Val, Exn<'a, Val>> {
        if is_too_large(&left, &right) {
            self.steps.set(OUT_OF_MEMORY);
            return Err(out_of_bounds());
        }
        (left * right).map_err(Exn::from)
    }
}

fn out_of_bounds<'a>() -> Exn<'a, Val> {
    Exn::from(Error::str("out of bounds"))
}

/// Returns whether a product would be a string or an integer beyond the limits.
fn is_too_large(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::TStr(_) | Val::BStr(_), Val::Num(times)) => {
            length(left).saturating_mul(copies(times)) > MOST_LENGTH
        }
        (Val::Num(_), Val::TStr(_) | Val::BStr(_)) => is_too_large(right, left),
        (Val::Num(left), Val::Num(right)) => bits(left).saturating_add(bits(right)) > MOST_BITS,
        _ => false,
    }
}

/// Returns how often multiplying by this number repeats a string. Only integers do.
fn copies(times: &Num) -> usize {
    match times {
        Num::Int(times) => usize::try_from(*times).unwrap_or(0),
        Num::BigInt(_) => usize::MAX,
        Num::Float(_) | Num::Dec(_) => 0,
    }
}

fn bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        Num::Int(_) | Num::Float(_) | Num::Dec(_) => u64::from(usize::BITS),
    }
}

/// Returns the approximate stack pointer.
#[inline(never)]
fn stack_now() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

fn length(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(items) => items.len(),
        Val::Obj(members) => members.len(),
        Val::Null | Val::Bool(_) | Val::Num(_) => 0,
    }
}

/// Returns the filters that take steps.
pub fn funs() -> impl Iterator<Item = Fun<Bounded>> {
    let step = Native::<Bounded>::new(|cv| {
        let stepped = cv.0.data().step(&cv.1);
        box_once(stepped.map(|()| cv.1))
    })
    .with_paths(|cv| {
        let stepped = cv.0.data().step(&cv.1.0);
        box_once(stepped.map(|()| cv.1))
    })
    .with_update(|cv, update| match cv.0.data().step(&cv.1) {
        Ok(()) => update(cv.1),
        Err(error) => box_once(Err(error)),
    });
    let range = Native::<Bounded>::new(|mut cv| {
        let (by, to) = (cv.0.pop_var(), cv.0.pop_var());
        let mut next = Some(cv.0.pop_var());
        let allowance = *cv.0.data();
        let zero = Val::from(0_usize);
        Box::new(std::iter::from_fn(move || {
            let value = next.take()?;
            let is_in = match by.cmp(&zero) {
                std::cmp::Ordering::Greater => value < to,
                std::cmp::Ordering::Less => value > to,
                std::cmp::Ordering::Equal => value != to,
            };
            if !is_in {
                return None;
            }
            if let Err(error) = allowance.step(&value) {
                return Some(Err(error));
            }
            match value.clone() + by.clone() {
                Ok(following) => next = Some(following),
                Err(error) => return Some(Err(error.into())),
            }
            Some(Ok(value))
        }))
    });
    let times = Native::<Bounded>::new(|mut cv| {
        let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
        box_once(cv.0.data().product(left, right))
    });
    [(STEP, v(0), step), ("range", v(3), range), (TIMES, v(2), times)].into_iter()
}

/// Returns whether these filters replace the core filter of this name.
pub fn replaces(name: &str) -> bool {
    name == "range"
}

/// Returns `STEP | term`.
fn step(term: Term<&str>) -> Term<&str> {
    let step = Term::Call(STEP, Vec::new());
    Term::BinOp(Box::new(step), BinaryOp::Pipe(None), Box::new(term))
}

/// Guards a definition of the library. Recursive ones recurse through an inner definition, and only
/// that one takes a step, so that the others have no overhead.
pub fn guard_library(def: Def<&str>) -> Def<&str> {
    Def { body: guard(def.body), ..def }
}

fn guard_def(def: Def<&str>) -> Def<&str> {
    Def { body: step(guard(def.body)), ..def }
}

fn boxed(term: Term<&str>) -> Box<Term<&str>> {
    Box::new(guard(term))
}

fn all(terms: Vec<Term<&str>>) -> Vec<Term<&str>> {
    terms.into_iter().map(guard).collect()
}

/// Returns the expression with a step before everything that can repeat.
pub fn guard(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => term,
        Term::Var("$ENV") => Term::Call("env", Vec::new()),
        Term::Var(name) => Term::Var(name),
        Term::Str(format, parts) => {
            Term::Str(format, parts.into_iter().map(guard_string_part).collect())
        }
        Term::Arr(inside) => Term::Arr(inside.map(|inside| boxed(*inside))),
        Term::Obj(members) => Term::Obj(
            members.into_iter().map(|(key, value)| (guard(key), value.map(guard))).collect(),
        ),
        Term::Neg(inside) => Term::Neg(boxed(*inside)),
        Term::BinOp(left, BinaryOp::Pipe(Some(pattern)), right) => {
            let bind = BinaryOp::Pipe(Some(guard_pattern(pattern)));
            Term::BinOp(boxed(*left), bind, Box::new(step(guard(*right))))
        }
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => {
            Term::Call(TIMES, vec![guard(*left), guard(*right)])
        }
        // By definition: `right as $factor | left |= . * $factor`.
        Term::BinOp(left, BinaryOp::UpdateMath(Math::Mul), right) => {
            let product = Term::Call(TIMES, vec![Term::Id, Term::Var(FACTOR)]);
            let update = Term::BinOp(boxed(*left), BinaryOp::Update, Box::new(product));
            let bind = BinaryOp::Pipe(Some(Pattern::Var(FACTOR)));
            Term::BinOp(boxed(*right), bind, Box::new(update))
        }
        Term::BinOp(left, operator, right) => Term::BinOp(boxed(*left), operator, boxed(*right)),
        Term::Label(name, inside) => Term::Label(name, boxed(*inside)),
        Term::Fold(name, values, pattern, mut inside) => {
            inside = all(inside);
            if let Some(update) = inside.get_mut(1) {
                *update = step(std::mem::take(update));
            }
            Term::Fold(name, boxed(*values), guard_pattern(pattern), inside)
        }
        Term::TryCatch(inside, catch) => {
            Term::TryCatch(boxed(*inside), catch.map(|catch| boxed(*catch)))
        }
        Term::IfThenElse(branches, otherwise) => Term::IfThenElse(
            branches.into_iter().map(|(test, then)| (guard(test), guard(then))).collect(),
            otherwise.map(|otherwise| boxed(*otherwise)),
        ),
        Term::Def(defs, inside) => {
            Term::Def(defs.into_iter().map(guard_def).collect(), boxed(*inside))
        }
        Term::Call(name, arguments) => Term::Call(name, all(arguments)),
        Term::Path(head, path) => {
            let parts = path.0.into_iter();
            let parts = parts.map(|(part, optional)| (guard_path_part(part), optional));
            Term::Path(boxed(*head), Path(parts.collect()))
        }
    }
}

fn guard_string_part<'a>(part: StrPart<&'a str, Term<&'a str>>) -> StrPart<&'a str, Term<&'a str>> {
    match part {
        StrPart::Term(term) => StrPart::Term(guard(term)),
        other => other,
    }
}

fn guard_path_part(part: Part<Term<&str>>) -> Part<Term<&str>> {
    match part {
        Part::Index(index) => Part::Index(guard(index)),
        Part::Range(from, to) => Part::Range(from.map(guard), to.map(guard)),
    }
}

fn guard_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(guard_pattern).collect()),
        Pattern::Obj(members) => Pattern::Obj(
            members.into_iter().map(|(key, value)| (guard(key), guard_pattern(value))).collect(),
        ),
    }
}
