//! The mutations. Each replaces a text of the sources, which must stand there exactly once, by
//! one that does the wrong thing where `crate::is_mutant` says so.

use super::judge::Breach::{self, Ahead, Foreign, Left, Lost, Repeated};

/// A way of being wrong.
pub struct Mutation {
    /// What it is called, in its own edits, too.
    pub name: &'static str,
    /// What it changes.
    pub edits: &'static [Edit],
    /// The lane that finds it out,
    pub lane: &'static str,
    /// by one of these.
    pub breaches: &'static [Breach],
}

/// A change of one file.
pub struct Edit {
    /// Below the root.
    pub file: &'static str,
    /// What stands there, once.
    pub old: &'static str,
    /// What stands there instead.
    pub new: &'static str,
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "leaves-at-any-second-interrupt",
        edits: &[Edit {
            file: "src/pipeline/signals.rs",
            old: "now.saturating_duration_since(first) >= DELIBERATE_AFTER;",
            new: r#"now.saturating_duration_since(first) >= DELIBERATE_AFTER
            || crate::is_mutant("leaves-at-any-second-interrupt");"#,
        }],
        lane: "v2",
        breaches: &[Left],
    },
    Mutation {
        name: "takes-time-for-identity",
        edits: &[Edit {
            file: "src/pipeline/sieve.rs",
            old: "let is_known = identity.is_some_and(|identity| self.window.contains(identity));",
            new: r#"let is_late = mark.time <= self.window.latest();
        let is_known = match crate::is_mutant("takes-time-for-identity") {
            true => is_late,
            false => identity.is_some_and(|identity| self.window.contains(identity)),
        };"#,
        }],
        lane: "v2",
        breaches: &[Lost],
    },
    Mutation {
        name: "resumes-v2-at-the-newest",
        edits: &[Edit {
            file: "src/pipeline/reader/rewind.rs",
            old: "(ServerKind::V2, Some(seq)) if is_same && has_seq => Asked::Seq(seq),",
            new: r#"(ServerKind::V2, Some(seq)) if is_same && has_seq => {
            let is_mutant = crate::is_mutant("resumes-v2-at-the-newest");
            Asked::Seq(position.newest.seq.filter(|_| is_mutant).unwrap_or(seq))
        }"#,
        }],
        lane: "v2 reuse",
        breaches: &[Lost],
    },
    Mutation {
        name: "fails-over-to-the-newest",
        edits: &[Edit {
            file: "src/pipeline/reader/rewind.rs",
            old: "_ => Asked::Instant(position.latest_time.minus_us(rewind_us)),",
            new: r#"_ if crate::is_mutant("fails-over-to-the-newest") => Asked::Instant(position.newest.time),
        _ => Asked::Instant(position.latest_time.minus_us(rewind_us)),"#,
        }],
        lane: "legacy failover",
        breaches: &[Lost],
    },
    Mutation {
        name: "resumes-at-the-newest",
        edits: &[Edit {
            file: "src/pipeline/reader/rewind.rs",
            old: "if is_plausible { newest.minus_us(margin_us).max(from) } else { from }",
            new: r#"if crate::is_mutant("resumes-at-the-newest") {
        newest
    } else if is_plausible {
        newest.minus_us(margin_us).max(from)
    } else {
        from
    }"#,
        }],
        lane: "legacy wild times",
        // Behind an imported time it asks for last year, and gets no further.
        breaches: &[Repeated, Lost],
    },
    Mutation {
        name: "saves-before-writing",
        edits: &[Edit {
            // Lines were sifted and are not written yet.
            file: "src/pipeline/writer/saving.rs",
            old: "let (Some(saver), Some(position)) = (&self.outlet.saver, self.sieve.position()) else {",
            new: r#"if crate::is_mutant("saves-before-writing") {
            self.unsaved.is_due = true;
            self.save()?;
        }
        let (Some(saver), Some(position)) = (&self.outlet.saver, self.sieve.position()) else {"#,
        }],
        lane: "v2 slow reader",
        breaches: &[Lost, Ahead],
    },
    Mutation {
        name: "takes-queued-for-written",
        edits: &[Edit {
            file: "src/pipeline/writer.rs",
            old: "self.sieve.refused(&open.lines, open.pending, refused.accepted_bytes);",
            new: r#"let queued = crate::is_mutant("takes-queued-for-written").then(|| open.lines.bytes().len());
        self.sieve.refused(&open.lines, open.pending, queued.unwrap_or(refused.accepted_bytes));"#,
        }],
        lane: "v2 slow reader",
        breaches: &[Lost, Ahead],
    },
    Mutation {
        name: "forgets-identities",
        edits: &[Edit {
            file: "src/pipeline/sieve.rs",
            old: "Some(Resume { position, identities: self.window.identities() })",
            new: r#"let is_forgetful = crate::is_mutant("forgets-identities");
        let identities = if is_forgetful { Vec::new() } else { self.window.identities() };
        Some(Resume { position, identities })"#,
        }],
        lane: "legacy",
        breaches: &[Repeated],
    },
    Mutation {
        name: "leaves-out-the-rkey",
        edits: &[Edit {
            file: "src/event/identity.rs",
            old: "self.part(&commit.rkey);",
            new: r#"if !crate::is_mutant("leaves-out-the-rkey") {
                    self.part(&commit.rkey);
                }"#,
        }],
        lane: "legacy",
        breaches: &[Lost],
    },
    Mutation {
        name: "forgets-beyond-the-margin",
        edits: &[Edit {
            file: "src/position/window/forget.rs",
            old: "while self.ring.len() as u64 > MAX_EVENTS && self.evicted < start {",
            new: r#"let most = if crate::is_mutant("forgets-beyond-the-margin") { 0 } else { MAX_EVENTS };
        while self.ring.len() as u64 > most && self.evicted < start {"#,
        }],
        lane: "v2 late repeats",
        breaches: &[Repeated],
    },
    Mutation {
        name: "never-joins",
        edits: &[Edit {
            file: "src/pipeline/reader/join.rs",
            old: "replays && self.limits.join == JoinMode::Auto",
            new: r#"replays && self.limits.join == JoinMode::Auto && !crate::is_mutant("never-joins")"#,
        }],
        lane: "legacy live",
        breaches: &[Lost],
    },
    Mutation {
        name: "passes-what-is-on-its-way",
        edits: &[Edit {
            file: "src/source/archive/sweep.rs",
            old: "self.last_block_seq = last;",
            new: r#"self.last_block_seq = last;
        if crate::is_mutant("passes-what-is-on-its-way") {
            let through = seq(last).map(|seq| Mark { time: self.latest, seq: Some(seq) });
            return Some(Step { through, ..Step::default() });
        }"#,
        }],
        lane: "archive slow reader",
        breaches: &[Lost, Ahead],
    },
    Mutation {
        name: "takes-empty-segments-for-wrong",
        edits: &[Edit {
            file: "src/source/archive/list.rs",
            old: "self.event_count == Some(0) || self.max_seq == 0",
            new: r#"(self.event_count == Some(0) || self.max_seq == 0)
            && !crate::is_mutant("takes-empty-segments-for-wrong")"#,
        }],
        lane: "archive by time",
        breaches: &[Lost],
    },
    Mutation {
        name: "keeps-the-tail-of-a-file",
        edits: &[Edit {
            file: "src/sink/claim.rs",
            old: "Err(_) if append => (found_bytes, read_tail(&file, found_bytes).map_err(failed)?),",
            new: r#"Err(_) if append => (found_bytes, read_tail(&file, found_bytes).map_err(failed)?),
        Ok(_) if crate::is_mutant("keeps-the-tail-of-a-file") => {
            (found_bytes, read_tail(&file, found_bytes).map_err(failed)?)
        }"#,
        }],
        lane: "v2 file",
        breaches: &[Repeated, Foreign],
    },
];
