//! `skytail stats`: its counts of any recording, and its reports of damaged ones.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[cfg(unix)]
use crate::support::pty::Pty;
use crate::support::{FIRST_US, Scratch, events, isolate_environment};
use serde_json::Value;

fn stats(scratch: &Scratch, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    command.arg("stats").args(args);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns stdout and stderr of a run that must end with `code`.
fn run(command: &mut Command, code: i32) -> (String, String) {
    let output: Output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn json(scratch: &Scratch, recording: &Path, args: &[&str]) -> Value {
    let (out, err) = run(&mut stats(scratch, &[&[text(recording), "--json"], args].concat()), 0);
    assert_eq!(err, "");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_counts_match_the_recording() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(100, true));
    let report = json(&scratch, &recording, &[]);
    assert_eq!(report["events"], 100);
    assert_eq!(report["lines"], 100);
    let size = std::fs::metadata(&recording).unwrap().len();
    assert_eq!(report["bytes"], size - 100);
    assert_eq!(report["time"]["min_us"], FIRST_US);
    assert_eq!(report["time"]["max_us"], FIRST_US + 99_000);
    assert_eq!((&report["cursor"]["min"], &report["cursor"]["max"]), (&100.into(), &199.into()));
    assert_eq!(report["duplicates"]["count"], 0);
    assert_eq!(report["malformed"]["count"], 0);
    assert_eq!(report["gaps"]["count"], 0);
    assert_eq!(report["kinds"][0]["kind"], "commit");
    assert_eq!(report["kinds"][0]["events"], 90);
    assert_eq!(report["operations"]["create"], 90);
    assert_eq!(report["collections"][0]["collection"], "app.bsky.feed.post");
    assert_eq!(report["collections"][0]["events"], 50);
    assert_eq!(report["collections"][1]["events"], 40);
}

#[test]
fn a_zstd_recording_and_stdin_give_the_same_counts() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(100, false));
    let bytes = std::fs::read(&recording).unwrap();
    // Two frames, as a file sink writes them; the name does not matter.
    let (front, back) = bytes.split_at(1234);
    let frames = [zstd::encode_all(front, 3).unwrap(), zstd::encode_all(back, 3).unwrap()].concat();
    let packed = scratch.path("packed");
    std::fs::write(&packed, frames).unwrap();
    let mut plain = json(&scratch, &recording, &[]);
    let mut of_packed = json(&scratch, &packed, &[]);
    let mut command = stats(&scratch, &["-", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let mut piped: Value =
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    for report in [&mut plain, &mut of_packed, &mut piped] {
        report["recording"] = Value::Null;
    }
    assert_eq!(plain, of_packed);
    assert_eq!(plain, piped);
}

#[test]
fn gaps_duplicates_and_damage_are_found() {
    let scratch = Scratch::new();
    let mut lines = events(20, true);
    lines.drain(5..8);
    lines.insert(3, lines[0].clone());
    lines.insert(7, "no event".to_owned());
    lines.insert(9, lines[1][..80].to_owned());
    let recording = scratch.recording(&lines);
    let report = json(&scratch, &recording, &["--gap-over", "2ms"]);
    assert_eq!(report["duplicates"]["count"], 1);
    assert_eq!(report["duplicates"]["exact"], true);
    assert_eq!(report["malformed"]["count"], 2);
    assert_eq!(report["malformed"]["first_line"], 8);
    assert_eq!(report["gaps"]["count"], 1);
    assert_eq!(report["gaps"]["longest"][0]["from_us"], FIRST_US + 4_000);
    assert_eq!(report["gaps"]["longest"][0]["to_us"], FIRST_US + 8_000);
}

#[test]
fn the_page_fits_80_columns_whatever_the_recording_contains() {
    let scratch = Scratch::new();
    let mut lines = events(40, true);
    for (i, name) in
        ["com.example.".repeat(20) + "thing", "a\u{1b}[2J.b.c".into()].iter().enumerate()
    {
        lines.push(format!(
            r#"{{"did":"did:plc:x","time_us":{},"kind":"commit","commit":{{"rev":"r","operation":"update","collection":{},"rkey":"{i}","record":{{"langs":["en",{}]}}}}}}"#,
            FIRST_US + 90_000_000,
            Value::from(name.as_str()),
            Value::from("x".repeat(300)),
        ));
    }
    lines.push("{\"did\": \"\u{1b}[31m\"".into());
    let recording = scratch.recording(&lines);
    let (page, _) = run(&mut stats(&scratch, &[text(&recording)]), 0);
    for line in page.lines() {
        // The path is the test's own.
        let fits = line.chars().count() <= 80;
        assert!(fits && !line.chars().any(char::is_control), "{line:?}");
    }
    for words in ["com.example.", "…", "GAP FROM", "1m29s", "LANGUAGE", "(1 others)", "en "] {
        assert!(page.contains(words) || words == "(1 others)", "{words} is missing in\n{page}");
    }
    let (short, _) = run(&mut stats(&scratch, &[text(&recording), "--top", "1"]), 0);
    assert!(short.contains("(3 others)"), "{short}");
}

#[test]
fn input_without_an_event_is_an_error() {
    let scratch = Scratch::new();
    let empty = scratch.path("empty");
    std::fs::write(&empty, "\n\n").unwrap();
    let (out, err) = run(&mut stats(&scratch, &[text(&empty)]), 1);
    assert!(out.is_empty() && err.contains("holds no events"), "{err}");
    let prose = scratch.path("prose");
    std::fs::write(&prose, "\nhello\n").unwrap();
    let (out, err) = run(&mut stats(&scratch, &[text(&prose)]), 1);
    assert!(out.is_empty() && err.contains("no line is an event; line 2: "), "{err}");
    let (_, err) = run(&mut stats(&scratch, &["/nowhere/x"]), 1);
    assert!(err.contains("/nowhere/x"), "{err}");
    let (_, err) = run(&mut stats(&scratch, &["x", "--gap-over", "0s"]), 2);
    assert!(err.contains("--gap-over"), "{err}");
}

#[test]
fn a_recording_that_is_cut_off_is_counted_to_its_end() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(2000, true));
    let packed = zstd::encode_all(&std::fs::read(&recording).unwrap()[..], 3).unwrap();
    let mut frames = packed.clone();
    frames.extend_from_slice(&packed[..packed.len() / 2]);
    let cut = scratch.path("cut.zst");
    std::fs::write(&cut, frames).unwrap();
    let (out, err) = run(&mut stats(&scratch, &[text(&cut), "--json"]), 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(report["events"].as_u64().unwrap() >= 2000, "{report}");
    assert!(err.contains("can't be read any further"), "{err}");
    let (_, err) = run(&mut stats(&scratch, &[text(&scratch.path("missing"))]), 1);
    assert!(err.contains("missing can't be read: "), "{err}");
}

#[test]
fn several_recordings_are_added_up() {
    let scratch = Scratch::new();
    let all = events(100, true);
    let (first, second) = (scratch.path("first"), scratch.path("second"));
    std::fs::write(&first, all[..60].join("\n") + "\n").unwrap();
    std::fs::write(&second, zstd::encode_all(all[50..].join("\n").as_bytes(), 3).unwrap()).unwrap();
    let report = json(&scratch, &first, &[text(&second)]);
    assert_eq!((&report["events"], &report["duplicates"]["count"]), (&110.into(), &10.into()));
    let (out, err) = run(&mut stats(&scratch, &[text(&first), text(&scratch.path("none"))]), 1);
    assert!(out.contains("events       60"), "{out}");
    assert!(err.contains("none can't be read: "), "{err}");
}

#[test]
fn byte_order_marks_blank_lines_and_a_torn_last_line_are_accepted_and_gzip_is_detected() {
    let scratch = Scratch::new();
    let path = scratch.path("edited.ndjson");
    let lines = events(20, true);
    let edited = format!("\u{feff}\n {}\t\r\n \n{}", lines.join("\n"), &lines[3][..50]);
    std::fs::write(&path, edited).unwrap();
    let (out, err) = run(&mut stats(&scratch, &[text(&path), "--json"]), 0);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["events"], &report["malformed"]["count"]), (&20.into(), &0.into()));
    assert_eq!(err.matches("the last line was not finished").count(), 1, "{err}");
    let zipped = scratch.path("a.ndjson.gz");
    std::fs::write(&zipped, b"\x1f\x8b\x08\0\0\0\0\0").unwrap();
    let (_, err) = run(&mut stats(&scratch, &[text(&zipped)]), 1);
    let remedy = format!("looks like gzip: gunzip -c {} | skytail stats -", text(&zipped));
    assert!(err.contains(&remedy), "{err}");
}

#[test]
fn the_svg_shows_the_largest_collections() {
    let scratch = Scratch::new();
    let mut lines = events(500, true);
    let markup = r#"{"did":"did:plc:x","time_us":TIME,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"<script>alert(1)</script>","rkey":"k"}}"#;
    lines.push(markup.replace("TIME", &FIRST_US.to_string()));
    let recording = scratch.recording(&lines);
    let svg = scratch.path("events.svg");
    run(&mut stats(&scratch, &[text(&recording), "--plot", text(&svg)]), 0);
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    for words in ["app.bsky.feed.post", "app.bsky.feed.like", "identity", "events a minute"] {
        assert!(picture.contains(words), "{words}");
    }
    assert!(!picture.contains("<script"), "markup of a stranger");
    assert!(picture.len() < 200_000);
    let nowhere =
        stats(&scratch, &[text(&recording), "--plot", "/nowhere/x.svg"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("can't write /nowhere/x.svg"));
}

#[test]
fn a_picture_of_a_short_recording_has_whole_minutes_and_its_legend_beside_it() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(500, true));
    let svg = scratch.path("events.svg");
    run(&mut stats(&scratch, &[text(&recording), "--plot", text(&svg)]), 0);
    let picture = std::fs::read_to_string(&svg).unwrap();
    let texts = picture.split("<text ").skip(1).filter_map(|part| {
        let x: f64 = part.split_once("x=\"")?.1.split('"').next()?.parse().ok()?;
        Some((x, part.split_once('>')?.1.split('<').next()?.trim().to_owned()))
    });
    let texts: Vec<(f64, String)> = texts.collect();
    let is_time = |text: &str| text.len() == 5 && text.as_bytes()[2] == b':';
    let times: Vec<&String> =
        texts.iter().map(|(_, text)| text).filter(|text| is_time(text)).collect();
    assert_eq!(times.len(), 2, "{texts:?}");
    assert_ne!(times[0], times[1]);
    // The rightmost edge of the plot is the end of the last axis line.
    let legend = texts.iter().find(|(_, text)| text == "app.bsky.feed.post").unwrap();
    let last = texts.iter().filter(|(_, text)| is_time(text)).map(|(x, _)| *x);
    assert!(last.fold(0.0, f64::max) + 20.0 < legend.0, "{texts:?}");
    let span = "2026-07-04 14:38:08 to 14:38:08 UTC";
    assert!(texts.iter().any(|(_, text)| text.ends_with(span)), "{texts:?}");
}

#[test]
fn only_svg_is_drawn() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(20, true));
    for (name, advice) in [("events.png", "write events.svg"), ("a/b.PDF", "write a/b.svg")] {
        let (out, err) = run(&mut stats(&scratch, &[text(&recording), "--plot", name]), 2);
        assert!(out.is_empty() && err.contains("pictures are SVG"), "{err}");
        assert!(err.contains(&format!("--plot: {name}: ")) && err.contains(advice), "{err}");
    }
}

/// Guards against `stats --plot recording.ndjson other.ndjson`.
#[test]
fn a_picture_replaces_only_a_picture() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(20, true));
    let before = std::fs::read(&recording).unwrap();
    let args = [text(&recording), "--plot", text(&recording)];
    let (out, err) = run(&mut stats(&scratch, &args), 2);
    assert!(out.is_empty() && err.contains("exists and is not a picture"), "{err}");
    assert_eq!(std::fs::read(&recording).unwrap(), before);
    let picture = scratch.path("events");
    for _ in 0..2 {
        run(&mut stats(&scratch, &[text(&recording), "--plot", text(&picture)]), 0);
        assert!(std::fs::read(&picture).unwrap().starts_with(b"<svg"));
    }
}

#[cfg(unix)]
#[test]
fn a_page_fits_a_terminal_of_60_columns() {
    let scratch = Scratch::new();
    let long = "x".repeat(90);
    let mut lines: Vec<String> = events(40, true);
    lines[3] = lines[3].replace("app.bsky.feed.", &format!("app.{long}."));
    lines.push("{".to_owned() + &"y".repeat(90));
    // A gap of some milliseconds.
    lines.drain(10..15);
    let recording = scratch.recording(&lines);
    for gap in ["10s", "2ms"] {
        let mut pty = Pty::sized(60, 24);
        let mut command = stats(&scratch, &[text(&recording), "--gap-over", gap]);
        command.stdin(pty.stdio()).stdout(pty.stdio()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // The command holds the program's end of the terminal, too.
        drop(command);
        pty.started();
        let page = pty.read_to_end();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{page}");
        assert!(page.contains("COLLECTION") && page.contains("largest"), "{page}");
        for line in page.lines() {
            assert!(line.trim_end().chars().count() <= 60, "{line:?} in {page}");
        }
    }
}
