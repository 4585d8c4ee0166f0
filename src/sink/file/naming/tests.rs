use super::*;

fn naming(name: &str, rotate: Option<Rotate>) -> Naming {
    Naming::new(Path::new(name), rotate).unwrap()
}

fn refusal(name: &str, rotate: Rotate) -> String {
    Naming::new(Path::new(name), Some(rotate)).unwrap_err().to_string()
}

#[test]
fn numbers_stand_before_the_extensions() {
    for (name, first, second) in [
        ("posts.ndjson.zst", "posts.1.ndjson.zst", "posts.2.ndjson.zst"),
        ("posts.ndjson", "posts.1.ndjson", "posts.2.ndjson"),
        ("posts.zst", "posts.1.zst", "posts.2.zst"),
        ("posts", "posts.1", "posts.2"),
        (".hidden", ".hidden.1", ".hidden.2"),
        (".hidden.zst", ".hidden.1.zst", ".hidden.2.zst"),
        ("a.2026-11-24.ndjson", "a.2026-11-24.1.ndjson", "a.2026-11-24.2.ndjson"),
        ("v1.2", "v1.2.1", "v1.2.2"),
        ("größe.ndjson", "größe.1.ndjson", "größe.2.ndjson"),
    ] {
        assert_eq!(
            [numbered(name, 0), numbered(name, 1), numbered(name, 2)],
            [name, first, second]
        );
    }
}

#[test]
fn fields_hold_the_event_time_in_utc() {
    let hourly = naming("d/p-%Y%m%dT%H.ndjson", Some(Rotate::Hourly));
    let time = TimeUs(1_783_175_888_186_668);
    assert_eq!(hourly.path(time, 0), Path::new("d/p-20260704T14.ndjson"));
    assert_eq!(hourly.path(time, 3), Path::new("d/p-20260704T14.3.ndjson"));
    assert_eq!(hourly.pattern(), "d/p-%Y%m%dT%H.ndjson");
    // A year that no calendar has does not stop a run.
    let _ = hourly.path(TimeUs(u64::MAX), 0);
}

#[test]
fn without_rotation_a_percent_sign_is_one() {
    let plain = naming("100%H.ndjson", None);
    assert_eq!(plain.path(TimeUs(0), 0), Path::new("./100%H.ndjson"));
    for (name, is_idle) in [
        ("x%Y", true),
        ("x%M", true),
        ("%a", true),
        ("100%H.zst", true),
        ("100%", false),
        ("50%%", false),
        ("5%!", false),
        ("x", false),
    ] {
        assert_eq!(naming(name, None).has_unused_fields(), is_idle, "{name}");
    }
    assert!(!naming("%F", Some(Rotate::Daily)).has_unused_fields());
}

#[test]
fn a_name_that_promises_another_compression_is_refused_with_one_that_does_not() {
    for (name, what, instead) in [
        ("x.ndjson.gz", "gzip", "x.ndjson.zst"),
        ("x.GZ", "gzip", "x.zst"),
        ("x.bz2", "bzip2", "x.zst"),
        ("x.zstd", "zstd", "x.zst"),
        ("x.ndjson.Zst", "zstd", "x.ndjson.zst"),
        (".gz", "gzip", ".zst"),
    ] {
        let message = Naming::new(Path::new(name), None).unwrap_err().to_string();
        assert!(message.contains(&format!("says {what}, ")), "{message}");
        assert!(message.contains(&format!("call it {instead:?}")), "{message}");
        assert!(Naming::new(Path::new(instead), None).unwrap().is_compressed());
    }
    for name in ["gz", "x.gz.ndjson", "gz.zst", "d.gz/x", "x.gzx"] {
        naming(name, None);
    }
}

#[test]
fn names_that_tell_periods_apart_are_taken() {
    for name in ["%s", "%Y-%m-%dT%H", "%F-%H", "%Y%j%H", "%y%m%d%I%p", "%Y-%m-%d_%T"] {
        naming(name, Some(Rotate::Hourly));
        naming(name, Some(Rotate::Daily));
    }
    naming("%F", Some(Rotate::Daily));
    naming("posts.ndjson", Some(Rotate::Size(1)));
    naming("posts-%s.ndjson.zst", Some(Rotate::Size(1)));
}

#[test]
fn names_that_do_not_are_refused_with_the_fields_that_would() {
    for name in ["p", "%H", "%F", "%d%H", "%m-%dT%H", "%FT%I", "%a%H", "%%Y%%m%%d%%H"] {
        let message = refusal(name, Rotate::Hourly);
        assert!(message.ends_with("add %Y-%m-%dT%H to the name"), "{message}");
    }
    for name in ["p", "%d", "%m-%d", "%Y-%m", "%a"] {
        let message = refusal(name, Rotate::Daily);
        assert!(message.ends_with("different days: add %Y-%m-%d to the name"), "{message}");
    }
}

#[test]
fn what_can_be_no_name_is_refused() {
    assert!(refusal("%D-%H", Rotate::Hourly).contains("not a file name"));
    assert!(refusal("%F%n", Rotate::Daily).contains("not a file name"));
    assert!(refusal("%!-%F", Rotate::Daily).contains("write fields as strftime does"));
    assert!(refusal("%Y/%F", Rotate::Daily).contains("in a directory's name"));
    for name in ["", "/", "..", "a/", "a/.."] {
        let error = Naming::new(Path::new(name), None).unwrap_err();
        assert_eq!(error, NameError::NoFile(PathBuf::from(name)));
    }
}

#[test]
fn a_parquet_file_has_a_file_of_lines_while_its_period_is_open() {
    let daily = naming("d/p-%F.parquet", Some(Rotate::Daily));
    let time = TimeUs(1_783_175_888_186_668);
    assert!(daily.is_parquet() && daily.is_compressed());
    assert_eq!(daily.path(time, 2), Path::new("d/p-2026-07-04.2.parquet"));
    let working = Path::new("d/p-2026-07-04.2.parquet.open.ndjson.zst");
    assert_eq!(daily.working_path(time, 2), working);
    assert_eq!(naming("a.ndjson", None).working_path(time, 0), Path::new("./a.ndjson"));
    let parts = field_parts(Path::new("d/p-{collection}.parquet"));
    assert_eq!(parts, Some(("p-".to_owned(), ".parquet".to_owned())));
    assert_eq!(field_parts(Path::new("p.parquet")), None);
    naming("p-{collection}.parquet", None);
    for name in ["p-{collection}.ndjson", "{collection}/p.parquet"] {
        let message = Naming::new(Path::new(name), None).unwrap_err().to_string();
        assert!(message.contains("{collection} in the name of a Parquet file"), "{message}");
    }
}
