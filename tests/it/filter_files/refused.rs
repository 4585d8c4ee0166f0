//! Files that give no filter: the old one stays, with one warning.

use super::{Watched, post, replace, stay};
use crate::support::Scratch;
use crate::support::run::Tail;
use crate::support::scripted::ScriptedServer;

#[test]
fn a_file_that_is_missing_empty_or_invalid_keeps_the_filter() {
    let before = [post("a", 100, true)];
    let after = [post("a", 101, true), post("b", 102, true)];
    let server = ScriptedServer::start([stay(&before), stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("dids.txt");
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let run = Watched::start(Tail::of(&server).flags(&["-d", &at, "-n", "3"]));
    run.prints(&before);
    replace(&list, "# no account\n");
    run.look();
    run.says("the filter stays as it is: ");
    replace(&list, "did:plc:a\nno account\n");
    run.look();
    let line = run.says("the filter stays as it is: ");
    assert!(line.contains("dids.txt, line 2: "), "{line}");
    std::fs::remove_file(&list).unwrap();
    run.look();
    let line = run.says("the filter stays as it is: ");
    assert!(line.contains("can't read"), "{line}");
    // The same problem is not logged again, so that the next line is that of the change.
    run.look();
    replace(&list, "did:plc:b\ndid:plc:a\n");
    run.look();
    let line = run.says("filter");
    assert!(line.contains("filter changed: 1 account added"), "{line}");
    run.prints(&after);
    run.ends();
}
