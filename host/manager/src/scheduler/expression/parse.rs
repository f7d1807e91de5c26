//! From text to an expression. Tightest first: call, `^`, sign, `* /`, `+ -`, `not`, comparison, `? :`, `and`, `or`.

use super::{Arithmetic, Comparison, ExpressionError, Node, Sign};
use winnow::ascii::{digit0, digit1, multispace0};
use winnow::combinator::{alt, delimited, not, opt, terminated};
use winnow::stream::Stateful;
use winnow::token::{one_of, take_till, take_while};
use winnow::{ModalResult, Parser};

/// The longest text, in bytes.
const LONGEST: usize = 4096;
/// How deep expressions may stand in each other.
const DEEPEST: usize = 64;
/// How many parts an expression may have.
const MOST_NODES: usize = 1000;
/// How much of a text that cannot be read is shown, in characters.
const SHOWN: usize = 20;

/// How large the expression has become, and what was too much.
#[derive(Debug, Default)]
struct Size {
    depth: usize,
    nodes: usize,
    beyond: Option<&'static str>,
}

type Input<'text, 'size> = Stateful<&'text str, &'size mut Size>;
type Parsed = ModalResult<Node>;

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    if text.len() > LONGEST {
        return Err(ExpressionError::TooLarge("4,096 bytes"));
    }
    let mut size = Size::default();
    let mut input = Stateful { input: text.trim_start(), state: &mut size };
    let parsed = any_of(&mut input);
    let rest = input.input;
    if let Some(beyond) = size.beyond {
        return Err(ExpressionError::TooLarge(beyond));
    }
    match parsed {
        Ok(node) if rest.is_empty() => Ok(node),
        Ok(_) => Err(syntax(rest, "an operator or the end should stand there")),
        Err(_) => Err(syntax(rest, "a number, a quoted text, a name or '(' should stand there")),
    }
}

fn syntax(rest: &str, expected: &'static str) -> ExpressionError {
    let rest = if rest.is_empty() { "the end".to_owned() } else { rest.chars().take(SHOWN).collect() };
    ExpressionError::Syntax { rest, expected }
}

/// Count a part. Beyond the limits nothing more is read.
fn node(input: &mut Input<'_, '_>, node: Node) -> Parsed {
    input.state.nodes = input.state.nodes.saturating_add(1);
    if input.state.nodes > MOST_NODES {
        input.state.beyond = Some("1,000 parts");
        return Err(winnow::error::ErrMode::Cut(winnow::error::ContextError::new()));
    }
    Ok(node)
}

/// Read something that may hold the whole language again.
fn deeper(input: &mut Input<'_, '_>, read: fn(&mut Input<'_, '_>) -> Parsed) -> Parsed {
    input.state.depth = input.state.depth.saturating_add(1);
    if input.state.depth > DEEPEST {
        input.state.beyond = Some("64 levels");
        return Err(winnow::error::ErrMode::Cut(winnow::error::ContextError::new()));
    }
    let found = read(input);
    input.state.depth = input.state.depth.saturating_sub(1);
    found
}

/// Take `text` and the blanks behind it, if it stands here.
fn take_sign(input: &mut Input<'_, '_>, text: &'static str) -> ModalResult<bool> {
    Ok(opt(terminated(text, multispace0)).parse_next(input)?.is_some())
}

/// Take `text`, which must stand here.
fn need_sign(input: &mut Input<'_, '_>, text: &'static str) -> ModalResult<()> {
    terminated(text, multispace0).void().parse_next(input)
}

/// Take one of two words of the language, which no letter may follow, if it stands here.
fn take_keyword(input: &mut Input<'_, '_>, words: [&'static str; 2]) -> ModalResult<bool> {
    let end = not(one_of(|letter: char| is_name(letter) || letter == '.'));
    Ok(opt((alt(words), end, multispace0)).parse_next(input)?.is_some())
}

fn any_of(input: &mut Input<'_, '_>) -> Parsed {
    joined(
        input,
        all_of,
        |input| Ok(take_keyword(input, ["or", "OR"])? || take_sign(input, "||")?),
        Node::Any,
    )
}

fn all_of(input: &mut Input<'_, '_>) -> Parsed {
    joined(
        input,
        choice,
        |input| Ok(take_keyword(input, ["and", "AND"])? || take_sign(input, "&&")?),
        Node::All,
    )
}

fn joined(
    input: &mut Input<'_, '_>,
    operand: fn(&mut Input<'_, '_>) -> Parsed,
    separator: fn(&mut Input<'_, '_>) -> ModalResult<bool>,
    join: fn(Vec<Node>) -> Node,
) -> Parsed {
    let first = operand(input)?;
    let mut operands = vec![first];
    while separator(input)? {
        operands.push(operand(input)?);
    }
    match (operands.len(), operands.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => {
            operands.extend(last);
            node(input, join(operands))
        }
    }
}

fn choice(input: &mut Input<'_, '_>) -> Parsed {
    let condition = comparison(input)?;
    if !take_sign(input, "?")? {
        return Ok(condition);
    }
    let then = deeper(input, choice)?;
    need_sign(input, ":")?;
    let otherwise = deeper(input, choice)?;
    node(input, Node::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
}

fn comparison(input: &mut Input<'_, '_>) -> Parsed {
    let first = negation(input)?;
    let mut rest = Vec::new();
    while let Some(comparison) = opt(comparison_sign).parse_next(input)? {
        rest.push((comparison, negation(input)?));
    }
    if rest.is_empty() { Ok(first) } else { node(input, Node::Chain(Box::new(first), rest)) }
}

fn comparison_sign(input: &mut Input<'_, '_>) -> ModalResult<Comparison> {
    let comparison = alt((
        "<=".value(Comparison::LessOrEqual),
        ">=".value(Comparison::GreaterOrEqual),
        "==".value(Comparison::Equal),
        "!=".value(Comparison::Unequal),
        "<>".value(Comparison::Unequal),
        "<".value(Comparison::Less),
        ">".value(Comparison::Greater),
    ));
    terminated(comparison, multispace0).parse_next(input)
}

fn negation(input: &mut Input<'_, '_>) -> Parsed {
    let exclamation = ('!', not('='), multispace0);
    if take_keyword(input, ["not", "NOT"])? || opt(exclamation).parse_next(input)?.is_some() {
        let operand = deeper(input, negation)?;
        return node(input, Node::Not(Box::new(operand)));
    }
    sum(input)
}

fn sum(input: &mut Input<'_, '_>) -> Parsed {
    let operator = |input: &mut Input<'_, '_>| {
        let operator = alt(('+'.value(Arithmetic::Plus), '-'.value(Arithmetic::Minus)));
        terminated(operator, multispace0).parse_next(input)
    };
    from_the_left(input, product, operator)
}

fn product(input: &mut Input<'_, '_>) -> Parsed {
    let operator = |input: &mut Input<'_, '_>| {
        let operator = alt(('*'.value(Arithmetic::Times), '/'.value(Arithmetic::Over)));
        terminated(operator, multispace0).parse_next(input)
    };
    from_the_left(input, signed, operator)
}

fn from_the_left(
    input: &mut Input<'_, '_>,
    operand: fn(&mut Input<'_, '_>) -> Parsed,
    operator: fn(&mut Input<'_, '_>) -> ModalResult<Arithmetic>,
) -> Parsed {
    let mut left = operand(input)?;
    while let Some(operator) = opt(operator).parse_next(input)? {
        let right = operand(input)?;
        left = node(input, Node::Arithmetic(Box::new(left), operator, Box::new(right)))?;
    }
    Ok(left)
}

fn signed(input: &mut Input<'_, '_>) -> Parsed {
    let sign = alt(('+'.value(Sign::Plus), '-'.value(Sign::Minus)));
    match opt(terminated(sign, multispace0)).parse_next(input)? {
        Some(sign) => {
            let operand = deeper(input, signed)?;
            node(input, Node::Sign(sign, Box::new(operand)))
        }
        None => power(input),
    }
}

/// From the right: `2^3^2` is `2^9`; the exponent may have a sign.
fn power(input: &mut Input<'_, '_>) -> Parsed {
    let base = atom(input)?;
    if !take_sign(input, "^")? {
        return Ok(base);
    }
    let exponent = deeper(input, signed)?;
    node(input, Node::Arithmetic(Box::new(base), Arithmetic::Power, Box::new(exponent)))
}

fn atom(input: &mut Input<'_, '_>) -> Parsed {
    let found = alt((parenthesis, number, quoted, word)).parse_next(input)?;
    multispace0.parse_next(input)?;
    Ok(found)
}

fn parenthesis(input: &mut Input<'_, '_>) -> Parsed {
    need_sign(input, "(")?;
    let inside = deeper(input, any_of)?;
    need_sign(input, ")")?;
    Ok(inside)
}

fn number(input: &mut Input<'_, '_>) -> Parsed {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    let text = (digit1, opt(('.', digit0)), opt(exponent)).take().parse_next(input)?;
    let number = text.parse().unwrap_or(f64::INFINITY);
    node(input, Node::Number(number))
}

fn quoted(input: &mut Input<'_, '_>) -> Parsed {
    let mut text =
        alt((delimited('\'', take_till(0.., '\''), '\''), delimited('"', take_till(0.., '"'), '"')));
    let text: &str = text.parse_next(input)?;
    node(input, Node::Text(text.to_owned()))
}

const fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// A call, a name of one dot, or a text without quotes.
fn word(input: &mut Input<'_, '_>) -> Parsed {
    let begins = one_of(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let rest = take_while(0.., |letter: char| is_name(letter) || letter == '.');
    let text: &str = (begins, rest).take().parse_next(input)?;
    if matches!(text, "and" | "AND" | "or" | "OR" | "not" | "NOT") {
        return Err(winnow::error::ErrMode::Backtrack(winnow::error::ContextError::new()));
    }
    let is_call = opt((multispace0, '(', multispace0)).parse_next(input)?.is_some();
    if is_call {
        return call(input, text);
    }
    match text.split_once('.') {
        Some((map, key)) if !key.is_empty() && !key.contains('.') => {
            node(input, Node::Name { map: map.to_owned(), key: key.to_owned() })
        }
        _ => node(input, Node::Text(text.to_owned())),
    }
}

/// What stands in the parentheses of a call; what it calls is checked once everything is read.
fn call(input: &mut Input<'_, '_>, name: &str) -> Parsed {
    let mut arguments = Vec::new();
    if !take_sign(input, ")")? {
        loop {
            arguments.push(deeper(input, any_of)?);
            if !take_sign(input, ",")? {
                break;
            }
        }
        need_sign(input, ")")?;
    }
    node(input, Node::Call { name: name.to_owned(), arguments })
}
