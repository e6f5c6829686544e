//! The recursive-descent reader behind [`super::read`]; its recursion is bounded by the depth limit.

use serde_json::{Map, Number, Value};

use super::JsonError;
use crate::state::limits::{Limits, MAX_SAFE_INTEGER};
use crate::state::pointer::{Pointer, is_prototype_key};

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonError::TooLarge { max_bytes: limits.max_bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::Syntax {
        path: Pointer::root(),
        offset: error.valid_up_to(),
        what: "the text is not UTF-8",
    })?;
    let mut reader = Reader { text, at: 0, limits, values: 0 };
    let read = reader.value(None, 0).and_then(|value| {
        reader.skip_space();
        if reader.at == text.len() { Ok(value) } else { Err(reader.syntax("text after the value")) }
    });
    read.map_err(|fault| fault.into_error(limits))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    limits: &'t Limits,
    values: usize,
}

/// A refusal on its way out of the recursion; `steps` are collected innermost first. Boxed to keep results small.
struct Fault(Box<(Kind, Vec<String>)>);

enum Kind {
    Syntax { offset: usize, what: &'static str },
    KeyTooLong,
    DuplicateKey,
    PrototypeKey,
    UnsafeInteger,
    NotFinite,
    TooDeep,
    TooManyValues,
}

impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self(Box::new((kind, Vec::new())))
    }
}

impl Fault {
    fn below(mut self, step: impl ToString) -> Self {
        self.0.1.push(step.to_string());
        self
    }

    fn into_error(self, limits: &Limits) -> JsonError {
        let (kind, steps) = *self.0;
        let path = Pointer::from_tokens(steps.into_iter().rev());
        match kind {
            Kind::Syntax { offset, what } => JsonError::Syntax { path, offset, what },
            Kind::KeyTooLong => JsonError::KeyTooLong { path, max_key_bytes: limits.max_key_bytes },
            Kind::DuplicateKey => JsonError::DuplicateKey { path },
            Kind::PrototypeKey => JsonError::PrototypeKey { path },
            Kind::UnsafeInteger => JsonError::UnsafeInteger { path },
            Kind::NotFinite => JsonError::NotFinite { path },
            Kind::TooDeep => JsonError::TooDeep { path, max_depth: limits.max_depth },
            Kind::TooManyValues => JsonError::TooManyValues { max_values: limits.max_values },
        }
    }
}

impl Reader<'_> {
    fn syntax(&self, what: &'static str) -> Fault {
        Kind::Syntax { offset: self.at, what }.into()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips space, then takes `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn value(&mut self, name: Option<&str>, depth: usize) -> Result<Value, Fault> {
        self.values += 1;
        if self.values > self.limits.max_values {
            return Err(Kind::TooManyValues.into());
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(name, depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => Err(self.syntax("expected a value")),
            None => Err(self.syntax("the text ends where a value was expected")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        if depth >= self.limits.max_depth {
            return Err(Kind::TooDeep.into());
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        self.enter(depth)?;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            let element = self.value(None, depth + 1).map_err(|fault| fault.below(elements.len()))?;
            elements.push(element);
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.syntax("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, name: Option<&str>, depth: usize) -> Result<Value, Fault> {
        self.enter(depth)?;
        let mut members = Map::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax("expected a key in double quotes"));
            }
            let key = self.string()?;
            if key.len() > self.limits.max_key_bytes {
                return Err(Kind::KeyTooLong.into());
            }
            if is_prototype_key(&key, name) {
                return Err(Fault::from(Kind::PrototypeKey).below(key));
            }
            if members.contains_key(&key) {
                return Err(Fault::from(Kind::DuplicateKey).below(key));
            }
            if !self.take(b':') {
                return Err(self.syntax("expected `:`").below(key));
            }
            match self.value(Some(&key), depth + 1) {
                Ok(member) => members.insert(key, member),
                Err(fault) => return Err(fault.below(key)),
            };
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.syntax("expected `,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        // A browser writes -0 as 0, and as an integer there is no other zero.
        if integer {
            return match text.parse::<i64>() {
                Ok(number) if number.unsigned_abs() <= MAX_SAFE_INTEGER => Ok(number.into()),
                _ => Err(Kind::UnsafeInteger.into()),
            };
        }
        text.parse().ok().and_then(Number::from_f64).ok_or_else(|| Kind::NotFinite.into())
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            text.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.syntax("a control character in a string must be escaped")),
                None => return Err(self.syntax("the text ends in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let code = self.peek();
        self.at += 1;
        Ok(match code {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(self.syntax("unknown escape"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.syntax("a surrogate without its pair"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.syntax("a surrogate without its pair"))
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
        });
        let code = code.ok_or_else(|| self.syntax("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}
