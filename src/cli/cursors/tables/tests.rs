//! The tables at the widths of terminals.

use insta::assert_snapshot;

use super::*;
use crate::cli::cursors::view::tests::{NOW, entries, stopped};
use crate::position::ServerKind;

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn programs_get_all_columns() {
    assert_snapshot!(list(&entries(), NOW, None), @r#"
        NAME                SERVER                 CURSOR            EVENT TIME                   AGE     SAVED
        app.bsky.feed.post  jetstream.example.com  27914856928       2026-07-04T14:34:56.186668Z  3m 12s  5s ago
        likes\u{1b}[2J      jetstream.example.com  1783175696186668  2026-07-04T14:34:56.186668Z  3m 12s  5s ago
        again               any                    1783168688186668  2026-07-04T12:38:08.186668Z  2h      by hand, 0s ago
        exact               jetstream.example.com  12                -                            -       by hand, 0s ago
        "#);
    assert_eq!(list(&entries(), NOW, Some(200)), list(&entries(), NOW, None));
}

#[test]
fn a_terminal_gets_what_fits() {
    assert_snapshot!(list(&entries(), NOW, Some(100)), @r#"
        NAME                SERVER                 CURSOR            AGE     SAVED
        app.bsky.feed.post  jetstream.example.com  27914856928       3m 12s  5s ago
        likes\u{1b}[2J      jetstream.example.com  1783175696186668  3m 12s  5s ago
        again               any                    1783168688186668  2h      by hand, 0s ago
        exact               jetstream.example.com  12                -       by hand, 0s ago
        "#);
    assert_snapshot!(list(&entries(), NOW, Some(80)), @r#"
        NAME                SERVER                 AGE     SAVED
        app.bsky.feed.post  jetstream.example.com  3m 12s  5s ago
        likes\u{1b}[2J      jetstream.example.com  3m 12s  5s ago
        again               any                    2h      by hand, 0s ago
        exact               jetstream.example.com  seq 12  by hand, 0s ago
        "#);
    assert_snapshot!(list(&entries(), NOW, Some(60)), @r#"
        NAME                SERVER           AGE     SAVED
        app.bsky.feed.post  jetstre…ple.com  3m 12s  5s ago
        likes\u{1b}[2J      jetstre…ple.com  3m 12s  5s ago
        again               any              2h      by hand, 0s ago
        exact               jetstre…ple.com  seq 12  by hand, 0s ago
        "#);
    for columns in [100, 80, 60] {
        assert!(widest(&list(&entries(), NOW, Some(columns))) <= columns);
    }
}

#[test]
fn a_long_name_stays_whole_on_a_line_of_its_own() {
    let name = "posts-and-likes-of-a-hundred-accounts-at-an-example-server";
    let entries = [stopped(name, ServerKind::V2, Some(27_914_857_120)), entries().remove(3)];
    assert_snapshot!(list(&entries, NOW, Some(60)), @r#"
        NAME
          SERVER                 AGE     SAVED
        posts-and-likes-of-a-hundred-accounts-at-an-example-server
          jetstream.example.com  3m 12s  5s ago
        exact
          jetstream.example.com  seq 12  by hand, 0s ago
        "#);
    // Even if the terminal is absurdly narrow.
    assert!(list(&entries, NOW, Some(1)).contains(name));
}

#[test]
fn the_list_of_earlier_positions_fits_80_columns() {
    let all = entries().into_iter().map(|entry| EarlierCursor {
        cursor: entry.cursor.unwrap(),
        saved_at: entry.saved_at,
        replaced_at: NOW,
    });
    let all: Vec<_> = all.collect();
    assert!(widest(&earlier(&all, NOW, None)) > 80);
    assert_snapshot!(earlier(&all, NOW, Some(80)), @r#"
        N  SERVER                 EVENT TIME            SAVED            REPLACED
        1  jetstream.example.com  2026-07-04T14:34:56Z  5s ago           0s ago
        2  jetstream.example.com  2026-07-04T14:34:56Z  5s ago           0s ago
        3  any                    2026-07-04T12:38:08Z  by hand, 0s ago  0s ago
        4  jetstream.example.com  -                     by hand, 0s ago  0s ago
        "#);
}
