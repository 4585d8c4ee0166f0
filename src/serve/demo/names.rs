//! Generates accounts, TIDs, CIDs, times and prose, all from one seed.

/// The alphabet of TIDs, which sorts as its values do.
const TID_ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
/// The alphabet of DIDs and CIDs (RFC 4648 base32, in lower case).
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const SYLLABLES: [&str; 24] = [
    "ba", "ko", "ri", "nu", "te", "sa", "mo", "li", "fe", "du", "ga", "wi", "zo", "pe", "hu", "ja",
    "ve", "ny", "cro", "sta", "mer", "lin", "dor", "tak",
];
const DOMAINS: [&str; 4] = ["demo.example", "sky.example", "birds.example.org", "example.net"];

const ENGLISH: [&str; 48] = [
    "the",
    "sky",
    "over",
    "our",
    "harbour",
    "is",
    "green",
    "today",
    "and",
    "passerby",
    "knows",
    "why",
    "a",
    "heron",
    "walked",
    "into",
    "shop",
    "asked",
    "for",
    "tea",
    "I",
    "finally",
    "finished",
    "that",
    "book",
    "about",
    "bridges",
    "it",
    "rains",
    "again",
    "but",
    "bread",
    "smells",
    "good",
    "my",
    "bicycle",
    "has",
    "opinions",
    "on",
    "hills",
    "we",
    "saw",
    "three",
    "comets",
    "before",
    "breakfast",
    "slowly",
    "together",
];
const GERMAN: [&str; 20] = [
    "der", "Himmel", "über", "dem", "Hafen", "ist", "heute", "grün", "und", "niemand", "weiß",
    "warum", "ein", "Reiher", "trinkt", "Tee", "schöne", "Grüße", "vom", "Fluss",
];
const PORTUGUESE: [&str; 18] = [
    "o", "céu", "está", "verde", "hoje", "não", "sei", "porquê", "uma", "garça", "bebeu", "chá",
    "amanhã", "chove", "outra", "vez", "bom", "dia",
];
const JAPANESE: [&str; 16] = [
    "今日は",
    "空が",
    "緑色だ",
    "港の",
    "上を",
    "鷺が",
    "歩いて",
    "いる",
    "お茶を",
    "飲みたい",
    "雨が",
    "また",
    "降る",
    "自転車は",
    "坂が",
    "きらい",
];
const KOREAN: [&str; 12] = [
    "오늘",
    "하늘이",
    "초록색",
    "이다",
    "항구",
    "위로",
    "왜가리가",
    "걷는다",
    "차를",
    "마시고",
    "비가",
    "온다",
];
const EMOJI: [&str; 10] = ["🌊", "🚲", "☕", "🐦", "✨", "😅", "🍞", "🌧️", "👩‍🚀", "🇪🇺"];
/// Escapes as both servers write them (protocol/jetstream-v1.md §7), and those of JSON.
const ESCAPED: [&str; 7] =
    [r" \u0026 ", r" \u003c3", r" -\u003e ", r#" \"so\" "#, r"\n\n", r" C:\\tea ", r"\t"];

/// A fictitious account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub did: String,
    pub handle: String,
}

/// The random generator and the accounts.
pub(super) struct Names {
    random: fastrand::Rng,
    accounts: Vec<Account>,
}

impl Names {
    pub(super) fn new(seed: u64, accounts: usize) -> Self {
        let mut names = Self { random: fastrand::Rng::with_seed(seed), accounts: Vec::new() };
        names.accounts = (0..accounts.max(1)).map(|_| names.new_account()).collect();
        names
    }

    fn new_account(&mut self) -> Account {
        let syllables = 2 + self.below(3);
        let name: String = (0..syllables).map(|_| self.pick(&SYLLABLES)).collect();
        let number = if self.one_in(4) { self.below(100).to_string() } else { String::new() };
        Account {
            did: format!("did:plc:{}", self.base32(24)),
            handle: format!("{name}{number}.{}", self.pick(&DOMAINS)),
        }
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.random.usize(..limit.max(1))
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Returns the distance to the next commit: sometimes zero, never more than twice the mean.
    pub(super) fn step_us(&mut self, mean_us: u64) -> u64 {
        if self.one_in(50) { 0 } else { self.random.u64(1..=2 * mean_us) }
    }

    pub(super) fn account(&mut self) -> Account {
        let index = self.below(self.accounts.len());
        self.accounts[index].clone()
    }

    fn base32(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.pick(BASE32))).collect()
    }

    /// Returns a CID of a record.
    pub(super) fn cid(&mut self) -> String {
        format!("bafyrei{}", self.base32(52))
    }

    /// Returns a CID of a blob.
    pub(super) fn blob_cid(&mut self) -> String {
        format!("bafkrei{}", self.base32(52))
    }

    /// Returns a TID: 53 bits of microseconds, 10 bits of clock id, 5 bits per character.
    pub(super) fn tid(&mut self, time_us: u64) -> String {
        let value = ((time_us & ((1 << 53) - 1)) << 10) | self.random.u64(..1 << 10);
        let letter = |shift: u32| TID_ALPHABET[(value >> shift) as usize & 31];
        (0..13).rev().map(|i| char::from(letter(5 * i))).collect()
    }

    /// Returns a post's language and text; the text is escaped for JSON.
    pub(super) fn prose(&mut self) -> (&'static str, String) {
        let (language, words, space): (_, &[&str], _) = match self.below(20) {
            0..11 => ("en", &ENGLISH, " "),
            11..14 => ("ja", &JAPANESE, ""),
            14..16 => ("pt", &PORTUGUESE, " "),
            16..18 => ("de", &GERMAN, " "),
            _ => ("ko", &KOREAN, " "),
        };
        let count = 3 + self.below(26);
        let mut text = String::new();
        for i in 0..count {
            if i > 0 {
                text.push_str(space);
            }
            text.push_str(self.pick(words));
            if self.one_in(30) {
                text.push_str(self.pick(&ESCAPED));
            }
        }
        if self.one_in(3) {
            text.push(' ');
            text.push_str(self.pick(&EMOJI));
        }
        (language, text)
    }
}

/// Formats a time as records do: RFC 3339 in UTC with milliseconds.
pub(super) fn rfc3339_ms(time_us: u64) -> String {
    let us = i64::try_from(time_us).unwrap_or(0);
    let time = jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tids_sort_by_time() {
        let mut names = Names::new(1, 1);
        let tids: Vec<String> = (1..200).map(|i| names.tid(i * 1_000_003)).collect();
        assert!(tids.is_sorted());
        assert!(tids.iter().all(|t| t.len() == 13));
    }

    #[test]
    fn times_are_written_with_milliseconds() {
        assert_eq!(rfc3339_ms(1_783_175_888_085_434), "2026-07-04T14:38:08.085Z");
    }
}
