//! Splits a line of the shell into words; quotes keep blanks.
//! Nothing is expanded: `*`, `~` and `\` are ordinary characters.

/// The words of the line, or why it is invalid.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => word.get_or_insert_default().push(letter),
            None if matches!(letter, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is never closed; close it"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_separate_words_and_quotes_keep_blanks() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("  ls \t photos ", &["ls", "photos"]),
            ("rm \"a b\"", &["rm", "a b"]),
            ("rm 'say \"hi\"'", &["rm", "say \"hi\""]),
            ("rm a\" \"b", &["rm", "a b"]),
            ("rm \"\"", &["rm", ""]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert!(split("rm \"a b").is_err());
    }
}
