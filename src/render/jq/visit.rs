//! Visits the parts of an expression's syntax tree.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path::Part;

/// Calls `visit` on each term directly inside `term`, patterns included.
pub fn each_child<'s>(term: &mut Term<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(inside) = part {
                    visit(inside);
                }
            }
        }
        Term::Arr(inside) => inside.iter_mut().for_each(|inside| visit(inside)),
        Term::Obj(members) => {
            for (key, value) in members {
                visit(key);
                value.iter_mut().for_each(&mut *visit);
            }
        }
        Term::Neg(inside) | Term::Label(_, inside) => visit(inside),
        Term::BinOp(left, operator, right) => {
            visit(left);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                each_key(pattern, visit);
            }
            visit(right);
        }
        Term::Fold(_, values, pattern, inside) => {
            visit(values);
            each_key(pattern, visit);
            inside.iter_mut().for_each(visit);
        }
        Term::TryCatch(inside, catch) => {
            visit(inside);
            catch.iter_mut().for_each(|catch| visit(catch));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (test, then) in branches {
                visit(test);
                visit(then);
            }
            otherwise.iter_mut().for_each(|otherwise| visit(otherwise));
        }
        Term::Def(defs, inside) => {
            defs.iter_mut().for_each(|def| visit(&mut def.body));
            visit(inside);
        }
        Term::Call(_, arguments) => arguments.iter_mut().for_each(visit),
        Term::Path(head, path) => {
            visit(head);
            each_index(&mut path.0, visit);
        }
    }
}

/// Calls `visit` on each index term of the parts of a path.
pub fn each_index<'s, O>(
    parts: &mut [(Part<Term<&'s str>>, O)],
    visit: &mut dyn FnMut(&mut Term<&'s str>),
) {
    for (part, _) in parts {
        match part {
            Part::Index(index) => visit(index),
            Part::Range(from, to) => from.iter_mut().chain(to).for_each(&mut *visit),
        }
    }
}

fn each_key<'s>(pattern: &mut Pattern<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter_mut().for_each(|item| each_key(item, visit)),
        Pattern::Obj(members) => {
            for (key, value) in members {
                visit(key);
                each_key(value, visit);
            }
        }
    }
}
