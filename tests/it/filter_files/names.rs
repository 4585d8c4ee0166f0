//! The consumer of a filter of files: its name does not depend on their content.

use super::{Watched, post, replace, stay};
use crate::support::Scratch;
use crate::support::run::{Tail, cursors};
use crate::support::scripted::ScriptedServer;

#[test]
fn a_cursor_named_by_content_is_taken_over_once_and_kept_when_the_file_changes() {
    let [first, second, third] = [100, 101, 102].map(|n| post("a", n, true));
    let last = post("b", 103, true);
    let scripts = [
        stay(std::slice::from_ref(&first)),
        stay(&[first.clone(), second.clone()]),
        stay(&[second.clone(), third.clone()]),
        stay(&[third.clone(), last.clone()]),
    ];
    let server = ScriptedServer::start(scripts);
    let scratch = Scratch::new();
    let (list, state) = (scratch.path("my dids.txt"), scratch.path("state.db"));
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let tail = |did: &str| {
        let tail = Tail::of(&server).state(state.clone());
        tail.flags(&["-d", did, "--cursor", "auto", "-n", "1"])
    };
    let run = tail("did:plc:a").run();
    run.ends_with(0).prints([&first]);
    let run = Watched::start(tail(&at));
    let line = run.says("continuing the cursor");
    assert!(
        line.contains("\"did:plc:a@localhost:") && line.contains("did:@my_dids.txt-"),
        "{line}"
    );
    run.prints(&[second]);
    run.ends();
    let run = tail(&at).run();
    run.ends_with(0).prints([&third]).never_says("continuing").never_says("filter changed");
    replace(&list, "did:plc:a\ndid:plc:b\n");
    let run = tail(&at).run();
    let words = "filter changed while no run was active: 2 accounts; it applies after seq 102";
    run.ends_with(0).prints([&last]).says(&[words]);
    let list = cursors(&["list", "--state", state.to_str().unwrap()]);
    assert_eq!(list.matches("did:").count(), 1, "{list}");
}
