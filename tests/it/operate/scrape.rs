//! `/metrics` and `/healthz`, as a scraper and a prober see them.

use std::collections::{BTreeMap, BTreeSet};

use crate::operate::{MonitoredTail, ask, get, get_until, serve, start_monitored};

/// Returns the samples of a page, by name and labels. Fails unless each metric has its help and
/// type before it, once, and a name by the conventions.
pub fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut known = BTreeSet::new();
    let (mut name, mut kind) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (of, help) = rest.split_once(' ').expect(line);
            assert!(help.ends_with('.'), "{line}");
            assert!(known.insert(of.to_owned()), "{of} comes twice");
            name = of.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (of, word) = rest.split_once(' ').expect(line);
            assert_eq!(of, name);
            assert_eq!(word == "counter", name.ends_with("_total"), "{line}");
            kind = word.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            assert_eq!(series.split('{').next(), Some(name.as_str()), "{line}");
            assert!(matches!(kind.as_str(), "counter" | "gauge"), "{line}");
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(is_name), "{name}");
            assert!(!name.contains("_ms") && !name.contains("_us"), "{name}: base units only");
            let value = value.parse().expect(line);
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
        }
    }
    samples
}

#[test]
fn the_metrics_count_the_run() {
    let (_scratch, server) = serve(100);
    let tail = start_monitored(&server, &["-c", "app.bsky.feed.post"]);
    let address = tail.metrics_address();
    let written = "skytail_events_total{outcome=\"written\"}";
    let page =
        get_until(address, "/metrics", |page| samples(&page.body).get(written) == Some(&50.0));
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
    let samples = samples(&page.body);
    let filtered = samples["skytail_events_total{outcome=\"filtered\"}"];
    assert_eq!(samples["skytail_received_events_total"], 50.0 + filtered);
    assert_eq!(samples["skytail_connected"], 1.0);
    assert_eq!(samples["skytail_healthy"], 1.0);
    assert_eq!(samples["skytail_protocol_version"], 2.0);
    assert_eq!(samples["skytail_gaps_total"], 0.0);
    assert_eq!(samples["skytail_queue_events"], 0.0);
    assert!(samples["skytail_written_bytes_total"] > 1000.0);
    assert!(samples["skytail_lag_seconds"] > 0.0);
    assert!(samples["process_cpu_seconds_total"] > 0.0);
    if cfg!(target_os = "linux") {
        assert!(samples["process_resident_memory_bytes"] > 1e6);
        assert!(samples["process_open_fds"] > 3.0);
    }
    tail.stop();
}

#[test]
fn health_is_200_while_events_come_and_503_when_they_stop() {
    let (_scratch, server) = serve(10);
    let host = server.address.to_string();
    let flags = ["--metrics-listen", "0", "--cursor", "oldest", "-v", "--stall-timeout", "1s"];
    let tail = MonitoredTail::start(&host, &flags, |_| {});
    let address = tail.metrics_address();
    let healthy = get_until(address, "/healthz", |answer| answer.status == 200);
    assert!(healthy.body.starts_with("ok: connected, "), "{}", healthy.body);
    // The recording is at its end, and the server stays silent.
    let stale = get_until(address, "/healthz", |answer| answer.status == 503);
    assert!(stale.body.starts_with("stale: no"), "{}", stale.body);
    tail.stop();
}

#[test]
fn without_a_connection_health_is_503_with_the_reason() {
    // Nothing listens on port 1.
    let flags = ["--metrics-listen", "0", "-v", "--max-retries", "unlimited"];
    let tail = MonitoredTail::start("127.0.0.1:1", &flags, |_| {});
    let address = tail.metrics_address();
    let first = get(address, "/healthz");
    assert_eq!(first.status, 503, "{first:?}");
    let answer = get_until(address, "/healthz", |answer| answer.body.contains("attempt"));
    assert_eq!(answer.status, 503);
    assert!(answer.body.starts_with("stale: not connected; the next"), "{}", answer.body);
    assert_eq!(samples(&get(address, "/metrics").body)["skytail_healthy"], 0.0);
    tail.stop();
}

#[test]
fn an_idle_stream_of_one_account_is_healthy() {
    let (_scratch, server) = serve(10);
    let tail = start_monitored(&server, &["-d", "did:plc:none"]);
    let address = tail.metrics_address();
    let answer = get_until(address, "/healthz", |answer| answer.status == 200);
    assert_eq!(answer.body, "ok: connected, no event yet\n");
    tail.stop();
}

#[test]
fn other_requests_get_the_list_of_endpoints() {
    let (_scratch, server) = serve(10);
    let tail = start_monitored(&server, &[]);
    let address = tail.metrics_address();
    let answer = get(address, "/");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, "not found: this server has /metrics and /healthz\n")
    );
    let post = "POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n";
    let answer = ask(address, post).unwrap();
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let query = get(address, "/metrics?name[]=skytail_connected");
    assert_eq!(query.status, 200);
    tail.stop();
}

#[test]
fn an_address_in_use_ends_the_run_before_it_dials() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut tail = MonitoredTail::start("127.0.0.1:1", &["--metrics-listen", &address], |_| {});
    let line = tail.says("--metrics-listen: can't listen on");
    assert!(line.contains(&address) && line.contains("choose another address"), "{line}");
    assert_eq!(tail.child.wait().unwrap().code(), Some(1));
}
