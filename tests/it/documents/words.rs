//! Splits a shell script into commands and words, as far as the documents need it.

/// Returns the commands of a script, each as its words: pipes, `;`, `&&` and line ends separate
/// them. Comments and redirections are left out.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('"'), '\\') | (None, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => while chars.next_if(|&next| next != '\n').is_some() {},
            (None, ' ' | '\t') => all.last_mut().unwrap().extend(word.take()),
            (None, '\n' | '|' | ';' | '&') => {
                all.last_mut().unwrap().extend(word.take());
                all.push(Vec::new());
            }
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    all.last_mut().unwrap().extend(word);
    all.iter_mut().for_each(remove_redirections);
    all.retain(|words| !words.is_empty());
    all
}

fn remove_redirections(words: &mut Vec<String>) {
    while let Some(at) = words.iter().position(|word| word.starts_with(['>', '<'])) {
        let operands = usize::from(words[at].len() == 1);
        words.drain(at..(at + 1 + operands).min(words.len()));
    }
}

#[test]
fn a_script_is_split_as_a_shell_splits_it() {
    let script = "# no\na 'b c' \\\n  d\\ e | f \"g\\\"h\" > out  # no\nCC=x i; j && k <in\n";
    let expected =
        [vec!["a", "b c", "d e"], vec!["f", "g\"h"], vec!["CC=x", "i"], vec!["j"], vec!["k"]];
    assert_eq!(commands(script), expected);
}
