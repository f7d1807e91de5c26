//! NFS-Ganesha's configuration as its parser cuts it, for tests: what a value at its place became is looked at, not guessed.

use std::iter::Peekable;
use std::str::Chars;

/// What its scanner knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Quoted(String),
    Mark(char),
    /// A line that begins with `%`.
    Directive(String),
}

/// A block, or a parameter with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Block(Block),
    Value { name: String, values: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
}

impl Item {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Block(block) => &block.name,
            Self::Value { name, .. } => name,
        }
    }
}

/// Cut a text at its tokens. Fails on what no token may hold.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut letters = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(&letter) = letters.peek() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => drop(letters.next()),
            '#' => drop(taken(&mut letters, |letter| letter != '\n')),
            '%' => found.push(Token::Directive(taken(&mut letters, |letter| letter != '\n'))),
            '{' | '}' | '=' | ';' | ',' => found.extend(letters.next().map(Token::Mark)),
            '"' | '\'' => found.push(Token::Quoted(quoted(&mut letters)?)),
            _ if is_of_a_word(letter) => found.push(Token::Word(taken(&mut letters, is_of_a_word))),
            other => return Err(format!("{other:?} is of no token")),
        }
    }
    Ok(found)
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._-+@:/*!".contains(letter)
}

fn taken(letters: &mut Peekable<Chars<'_>>, wanted: impl Fn(char) -> bool) -> String {
    std::iter::from_fn(|| letters.next_if(|letter| wanted(*letter))).collect()
}

/// A quoted text ends at its quote; a backslash takes the next letter along, and no line ends in it.
fn quoted(letters: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let quote = letters.next();
    let mut text = String::new();
    loop {
        match letters.next() {
            None | Some('\n') => return Err("a quote that does not end".to_owned()),
            letter if letter == quote => return Ok(text),
            Some('\\') => text.extend(letters.next()),
            Some(letter) => text.push(letter),
        }
    }
}

/// Blocks and parameters of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Item>, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let items = items(&mut rest)?;
    if rest.is_empty() { Ok(items) } else { Err(format!("{rest:?} stands behind the last block")) }
}

fn items(rest: &mut &[Token]) -> Result<Vec<Item>, String> {
    let mut found = Vec::new();
    while let [Token::Word(name), Token::Mark(mark), tail @ ..] = *rest {
        *rest = tail;
        let name = name.clone();
        found.push(match mark {
            '{' => {
                let items = items(rest)?;
                let [Token::Mark('}'), tail @ ..] = *rest else {
                    return Err(format!("block {name} is not closed"));
                };
                *rest = tail;
                Item::Block(Block { name, items })
            }
            '=' => Item::Value { values: values(rest)?, name },
            other => return Err(format!("{other:?} behind {name}")),
        });
    }
    Ok(found)
}

fn values(rest: &mut &[Token]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    loop {
        let [Token::Word(value) | Token::Quoted(value), Token::Mark(mark @ (',' | ';')), tail @ ..] = *rest
        else {
            return Err(format!("no value at {rest:?}"));
        };
        found.push(value.clone());
        *rest = tail;
        if *mark == ';' {
            return Ok(found);
        }
    }
}

#[test]
fn what_a_value_must_not_do_is_seen() {
    let export = |path: &str| parse(&format!("EXPORT {{ Path = {path}; FSAL {{ Name = VFS; }} }}"));
    let sound = export("\"/a\"").expect("an export");
    for hostile in
        ["\"/a\"; Squash = none", "/a; } EXPORT { Path = /", "/a\n%include \"/etc/passwd\"", "\"/a\" # ;"]
    {
        assert_ne!(export(hostile), Ok(sound.clone()), "{hostile}");
    }
}
