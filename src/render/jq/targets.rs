//! Assignment to a path that does not exist yet. jaq fails on `.a.b = 1` if `a` is missing; jq
//! makes the object. So before each part of an assignment's target the expression gets a filter
//! that replaces null by the container that the next key needs, and extends arrays.

use std::rc::Rc;

use jaq_core::box_iter::box_once;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::native::{Fun, v};
use jaq_core::path::{Part, Path};
use jaq_core::{Exn, Native};
use jaq_json::{Num, Val};

use super::bounds::Bounded;
use super::visit::{each_child, each_index};

/// The filter that creates a container. No expression can name it.
const CREATE: &str = "!create";
/// The most items of an array that an assignment to an index beyond its end can create.
const MOST_CREATED_ITEMS: usize = 1 << 20;
/// Created items that cost as much as one step.
const ITEMS_A_STEP: usize = 64;

/// Changes the targets of all assignments in `term` so that they create missing containers.
/// `is_target` says whether `term` may be a target itself.
pub fn create(term: &mut Term<&str>, is_target: bool) {
    match term {
        Term::BinOp(
            left,
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt,
            right,
        ) => {
            create(left, true);
            create(right, false);
        }
        // A definition can be used in a target.
        Term::Def(defs, inside) => {
            defs.iter_mut().for_each(|def| create(&mut def.body, true));
            create(inside, is_target);
        }
        Term::Path(head, path) => {
            create(head, is_target);
            each_index(&mut path.0, &mut |index| create(index, false));
            if is_target && path.0.iter().all(|(part, _)| is_independent(part)) {
                let path = std::mem::replace(path, Path(Vec::new()));
                let head = std::mem::take(head);
                *term = path.0.into_iter().fold(*head, |head, (part, optional)| {
                    let head = match &part {
                        Part::Index(key) => piped(head, Term::Call(CREATE, vec![key.clone()])),
                        Part::Range(..) => head,
                    };
                    let part = Term::Path(Box::default(), Path(vec![(part, optional)]));
                    piped(head, part)
                });
            }
        }
        other => each_child(other, &mut |child| create(child, is_target)),
    }
}

fn piped<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

/// Returns whether the value of the part does not depend on its input.
fn is_independent(part: &Part<Term<&str>>) -> bool {
    let is_constant = |term: &Term<&str>| match term {
        Term::Num(_) | Term::Var(_) => true,
        Term::Neg(inside) => matches!(**inside, Term::Num(_)),
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        _ => false,
    };
    match part {
        Part::Index(key) => is_constant(key),
        Part::Range(from, to) => from.iter().chain(to).all(is_constant),
    }
}

/// Returns the filter that creates containers.
pub fn funs() -> impl Iterator<Item = Fun<Bounded>> {
    let create = Native::<Bounded>::new(|cv| box_once(Ok(cv.1)))
        .with_paths(|cv| box_once(Ok(cv.1)))
        .with_update(|mut cv, update| {
            let key = cv.0.pop_var();
            let allowance = *cv.0.data();
            let was_null = matches!(cv.1, Val::Null);
            let (value, created_items) = container(cv.1, &key);
            let steps = u32::try_from(created_items / ITEMS_A_STEP).unwrap_or(u32::MAX);
            if let Err(error) = allowance.spend(steps, &value) {
                return box_once(Err(error));
            }
            Box::new(update(value).map(move |updated: Result<Val, Exn<'_, Val>>| {
                updated.map(|value| if was_null { null_if_empty(value) } else { value })
            }))
        });
    std::iter::once((CREATE, v(1), create))
}

/// Returns `value` with a place for `key`, and the number of items added.
fn container(value: Val, key: &Val) -> (Val, usize) {
    match (value, key) {
        (Val::Null, Val::TStr(_)) => (Val::obj(jaq_json::Map::default()), 0),
        (Val::Null, Val::Num(Num::Int(index))) if *index >= 0 => {
            container(Val::Arr(Rc::default()), key)
        }
        (Val::Arr(mut items), Val::Num(Num::Int(index))) => {
            let length = usize::try_from(*index).map_or(0, |index| index.saturating_add(1));
            let created = length.saturating_sub(items.len());
            if created > 0 && length <= MOST_CREATED_ITEMS {
                Rc::make_mut(&mut items).resize(length, Val::Null);
            }
            (Val::Arr(items), created.min(MOST_CREATED_ITEMS))
        }
        (value, _) => (value, 0),
    }
}

/// Removes a container that stayed empty after it was created, as in `.a.b |= empty`.
fn null_if_empty(value: Val) -> Val {
    match &value {
        Val::Obj(members) if members.is_empty() => Val::Null,
        Val::Arr(items) if items.is_empty() => Val::Null,
        _ => value,
    }
}
