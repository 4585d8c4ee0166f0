//! What `--to` refuses before it connects to anything, in every build.

use crate::broker::fixture::Fixture;

#[test]
fn an_invalid_address_is_refused_with_the_remedy() {
    let fixture = Fixture::new(1);
    for (to, more, log) in [
        ("FIREHOSE", &[][..], "names no broker"),
        ("nats://me:hidden@h/S", &[][..], "--to-config FILE"),
        ("nats://h", &[][..], "write nats://h:4222/NAME"),
        ("nats://h/S", &["-o", "file"][..], "leave one out"),
    ] {
        let ended = fixture.run(to, more);
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(log), "{log:?} is not in {}", ended.stderr);
        assert!(!ended.stderr.contains("hidden"), "{}", ended.stderr);
    }
}

#[test]
fn a_build_without_the_client_reports_how_to_enable_it() {
    let fixture = Fixture::new(1);
    for (feature, is_built_in) in
        [("kafka", cfg!(feature = "kafka")), ("nats", cfg!(feature = "nats"))]
    {
        if !is_built_in {
            let ended = fixture.run(&format!("{feature}://h/S"), &[]);
            assert_eq!(ended.code(), 2, "{}", ended.stderr);
            let log = format!("cargo install skytail --features {feature}");
            assert!(ended.stderr.contains(&log), "{}", ended.stderr);
        }
    }
}
