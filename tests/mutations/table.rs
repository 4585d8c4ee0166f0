//! The mutations: faults that the torture harness must find.
//!
//! A comment `// mutant: NAME` in `src`, alone on its line, marks the line below it as the place
//! of a mutation. Each edit keeps the original statement for every other process, so that a
//! statement that has changed since is either still tested or no longer compiles.

use super::oracle::Violation::{self, Ahead, ExitedEarly, Foreign, Lost, Repeated};

/// One fault.
pub struct Mutation {
    /// The name in the anchor comment.
    pub name: &'static str,
    pub edit: Edit,
    /// The profile that must find it.
    pub profile: &'static str,
    /// The findings that count.
    pub violations: &'static [Violation],
}

/// What happens to the line below the anchor. `MUTANT` in the new text becomes the condition
/// "this process is that mutation".
pub enum Edit {
    /// Inserts statements or a match arm above the line.
    Insert(&'static str),
    /// Replaces a part of the line, which must occur in it exactly once.
    Replace { old: &'static str, new: &'static str },
}

use Edit::{Insert, Replace};

pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "leaves-at-any-second-interrupt",
        edit: Insert("let is_deliberate = is_deliberate || MUTANT;"),
        profile: "v2",
        violations: &[ExitedEarly],
    },
    Mutation {
        name: "takes-time-for-identity",
        edit: Insert(
            "let is_known = if MUTANT { at.time <= self.window.latest() } else { is_known };",
        ),
        profile: "v2",
        violations: &[Lost],
    },
    Mutation {
        name: "resumes-v2-at-the-newest",
        edit: Insert(
            "(ServerKind::V2, Some(seq)) if is_same && has_seq && MUTANT => {
                RequestedCursor::Seq(position.newest.seq.unwrap_or(seq))
            }",
        ),
        profile: "v2 reuse",
        violations: &[Lost],
    },
    Mutation {
        name: "fails-over-to-the-newest",
        edit: Insert("_ if MUTANT => RequestedCursor::Instant(position.newest.time),"),
        profile: "legacy failover",
        violations: &[Lost],
    },
    Mutation {
        name: "resumes-at-the-newest",
        edit: Insert("if MUTANT { return newest; }"),
        profile: "legacy wild times",
        // After an imported time it asks for last year, and gets no further.
        violations: &[Repeated, Lost],
    },
    Mutation {
        name: "saves-before-writing",
        // Lines were filtered and are not written yet.
        edit: Insert("if MUTANT { self.unsaved.is_due = true; self.save()?; }"),
        profile: "v2 slow reader",
        violations: &[Lost, Ahead],
    },
    Mutation {
        name: "takes-queued-for-written",
        edit: Insert(
            "let mut partial = partial;
            if MUTANT { partial.accepted_bytes = open.staged.lines().bytes().len(); }",
        ),
        profile: "v2 slow reader",
        violations: &[Lost, Ahead],
    },
    Mutation {
        name: "forgets-identities",
        edit: Insert("if MUTANT { return Some(Resume { position, identities: Vec::new() }); }"),
        profile: "legacy",
        violations: &[Repeated],
    },
    Mutation {
        name: "leaves-out-the-rkey",
        edit: Replace { old: "rkey", new: "if MUTANT { FieldSpan::default() } else { rkey }" },
        profile: "legacy",
        violations: &[Lost],
    },
    Mutation {
        name: "forgets-beyond-the-margin",
        edit: Replace { old: "MAX_EVENTS", new: "(if MUTANT { 0 } else { MAX_EVENTS })" },
        profile: "v2 late repeats",
        violations: &[Repeated],
    },
    Mutation {
        name: "believes-one-event",
        edit: Replace { old: "time >", new: "!MUTANT && time >" },
        profile: "legacy absurd times",
        violations: &[Lost, Repeated, Ahead],
    },
    Mutation {
        name: "trusts-a-pong",
        edit: Insert("let may_scan_silently = may_scan_silently && !MUTANT;"),
        profile: "legacy slow scan",
        violations: &[Lost],
    },
    Mutation {
        name: "never-joins",
        edit: Insert("if MUTANT { return false; }"),
        profile: "legacy live",
        violations: &[Lost],
    },
    Mutation {
        name: "passes-what-is-on-its-way",
        edit: Insert(
            "if MUTANT {
                let through = valid_seq(last)
                    .map(|seq| EventPosition { time: self.max_time, seq: Some(seq) });
                return Some(BackfillStep { through, ..BackfillStep::default() });
            }",
        ),
        profile: "archive slow reader",
        violations: &[Lost, Ahead],
    },
    Mutation {
        name: "takes-empty-segments-for-wrong",
        edit: Insert("if MUTANT { return false; }"),
        profile: "archive by time",
        violations: &[Lost],
    },
    Mutation {
        name: "takes-a-budget-for-the-end",
        edit: Replace { old: "self.is_over_budget", new: "(self.is_over_budget && !MUTANT)" },
        profile: "archive budget",
        violations: &[Lost, Ahead],
    },
    Mutation {
        name: "keeps-the-tail-of-a-file",
        edit: Insert(
            "Ok(_) if MUTANT => (found_bytes, read_tail(&file, found_bytes).map_err(failed)?),",
        ),
        profile: "v2 file",
        violations: &[Repeated, Foreign],
    },
    Mutation {
        name: "keeps-the-rows-of-a-deleted-account",
        edit: Replace { old: "!is_newer ||", new: "MUTANT || !is_newer ||" },
        profile: "database v2",
        violations: &[Lost],
    },
    Mutation {
        name: "leaves-a-line-out-of-parquet",
        edit: Insert("if MUTANT && number == 1 { return Ok(()); }"),
        profile: "v2 parquet by the hour",
        violations: &[Lost],
    },
];
