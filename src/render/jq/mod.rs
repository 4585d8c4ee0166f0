//! `--jq`: an expression in jq's language, compiled once and run on each event. Its steps, stack
//! and memory are bounded (`bounds`), so that every run ends, with values or an error.

mod bounds;
mod extras;
mod fault;
mod matching;
mod member_path;
mod regexes;
mod source;
mod targets;
mod visit;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Exn, Vars};
use jaq_json::Val;

use super::RenderError;
use crate::display::printable::printable;
use bounds::{Allowance, Bounded};
use member_path::MemberPath;
use regexes::Regexes;

pub use bounds::{MOST_STEPS, STACK_BYTES};
pub use fault::Fault;

/// The most characters of an expression's error, which may contain values of the event.
const MOST_ERROR_CHARS: usize = 200;
/// The name of the definition that holds the expression.
const MAIN: &str = "skytail_main";

/// A compiled expression.
pub struct Program {
    text: String,
    filter: jaq_core::Filter<Bounded>,
    regexes: Mutex<Regexes>,
    /// The member that the expression names, if it does nothing else.
    path: Option<MemberPath>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.text).finish()
    }
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`Fault`], with the reason and the place.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        let joined = source::without_surrogates(text);
        let text: &str = &joined;
        let lines = source::line_numbers(text);
        let mut body = fault::parse(text)?;
        source::fill_places(&mut body, text, &lines);
        let regexes = Mutex::new(matching::check_constants(&mut body, text)?);
        targets::create(&mut body, false);
        let body = bounds::guard(body);
        // The expression becomes the last definition of the library, so that its syntax tree can be
        // changed before it is compiled, and its errors still point into its text.
        let main = Def { name: MAIN, args: Vec::new(), body };
        let file = File { code: MAIN, path: () };
        let arena = Arena::default();
        let modules = Loader::new(extras::defs().chain([main])).load(&arena, file);
        let modules =
            modules.map_err(|_| Fault::new(text, "the expression can't be loaded", text))?;
        let filter =
            Compiler::<&str, Bounded>::default().with_funs(extras::funs()).compile(modules);
        let filter = filter.map_err(|errors| fault::undefined(text, &errors))?;
        Ok(Self { text: text.to_owned(), filter, regexes, path: MemberPath::of(text) })
    }

    /// Returns the JSON text of the expression's only output, if the expression names a member and
    /// the event is not unusual. Otherwise the expression has to be run.
    #[must_use]
    pub fn member<'a>(&self, event: &'a [u8]) -> Option<&'a str> {
        self.path.as_ref()?.find(event)
    }

    /// Runs the expression on one event, and calls `each` for each output. An error of `each` ends
    /// the run.
    ///
    /// # Errors
    /// The error of `each` or of the expression.
    pub fn run(
        &self,
        event: Val,
        mut each: impl FnMut(Val) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        let steps = Cell::new(MOST_STEPS);
        let allowance = Allowance::new(&self.filter.lut, &steps, &self.regexes);
        let context = Ctx::<Bounded>::new(allowance, Vars::new([]));
        // A panic of the interpreter counts as an error of the expression. It can't leave our state
        // inconsistent.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            for output in self.filter.id.run((context, event)) {
                each(output.map_err(failure)?)?;
            }
            Ok(())
        }));
        match steps.get() {
            // Also if the expression caught the error.
            bounds::OUT_OF_STEPS => Err(RenderError::TooManySteps),
            bounds::OUT_OF_STACK => Err(RenderError::TooDeep),
            bounds::OUT_OF_MEMORY => Err(RenderError::Failed(bounds::TOO_LARGE.to_owned())),
            _ => ran.unwrap_or_else(|_| Err(RenderError::Failed("the interpreter failed".into()))),
        }
    }
}

fn failure(exception: Exn<'_, Val>) -> RenderError {
    match exception.get_err() {
        Ok(error) => {
            let reason = match error.into_val() {
                Val::TStr(text) => printable(&text, MOST_ERROR_CHARS),
                value => printable(value.to_string().as_bytes(), MOST_ERROR_CHARS),
            };
            RenderError::Failed(reason)
        }
        Err(exception) => match exception.get_halt() {
            Ok(_) => RenderError::Halt,
            Err(_) => RenderError::Failed("break outside of its label".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests;
