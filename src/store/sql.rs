//! The little of SQLite that the objects use.

/// A value of a parameter or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    Null,
    /// At most 2⁵³ − 1 in magnitude: the platform passes numbers as f64.
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A row, its columns in the order of the SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<SqlValue>);

/// The database failed, or a row is not what the schema promises. The text is
/// for the log only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlError(pub String);

/// A SQLite database. Implementations fail closed: an error is an error and
/// never an empty result.
pub trait Sql {
    /// Runs one statement to its end and returns its rows.
    ///
    /// # Errors
    /// What the database says.
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError>;

    /// Runs `work` in one transaction: all of it is committed, or, if it
    /// fails, nothing.
    ///
    /// # Errors
    /// What `work` returns, or what the database says.
    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError>;

    /// The same, with a result.
    ///
    /// # Errors
    /// What `work` returns, or what the database says.
    fn atomically<T>(&self, work: impl Fn() -> Result<T, SqlError>) -> Result<T, SqlError>
    where
        Self: Sized,
    {
        let mut result = None;
        self.transaction(&mut || {
            result = Some(work()?);
            Ok(())
        })?;
        result.ok_or_else(|| SqlError("the transaction did not run".to_owned()))
    }
}

impl Row {
    fn column(&self, index: usize) -> Result<&SqlValue, SqlError> {
        self.0.get(index).ok_or_else(|| SqlError(format!("the row has no column {index}")))
    }

    fn unexpected<T>(index: usize, wanted: &str) -> Result<T, SqlError> {
        Err(SqlError(format!("column {index} is not {wanted}")))
    }

    /// An integer that fits `T`.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn integer<T: TryFrom<i64>>(&self, index: usize) -> Result<T, SqlError> {
        match self.column(index)? {
            SqlValue::Integer(number) => T::try_from(*number).or_else(|_| Self::unexpected(index, "in range")),
            _ => Self::unexpected(index, "an integer"),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn text(&self, index: usize) -> Result<&str, SqlError> {
        match self.column(index)? {
            SqlValue::Text(text) => Ok(text),
            _ => Self::unexpected(index, "a text"),
        }
    }

    /// A text or NULL.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn optional_text(&self, index: usize) -> Result<Option<&str>, SqlError> {
        match self.column(index)? {
            SqlValue::Null => Ok(None),
            _ => self.text(index).map(Some),
        }
    }

    /// A blob of any length.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn blob(&self, index: usize) -> Result<&[u8], SqlError> {
        match self.column(index)? {
            SqlValue::Blob(bytes) => Ok(bytes),
            _ => Self::unexpected(index, "a blob"),
        }
    }

    /// An integer or NULL.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn optional_integer<T: TryFrom<i64>>(&self, index: usize) -> Result<Option<T>, SqlError> {
        match self.column(index)? {
            SqlValue::Null => Ok(None),
            _ => self.integer(index).map(Some),
        }
    }

    /// A blob of exactly `N` bytes, or NULL.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn optional_bytes<const N: usize>(&self, index: usize) -> Result<Option<[u8; N]>, SqlError> {
        match self.column(index)? {
            SqlValue::Null => Ok(None),
            _ => self.bytes(index).map(Some),
        }
    }

    /// A blob of exactly `N` bytes.
    ///
    /// # Errors
    /// The column holds something else.
    pub fn bytes<const N: usize>(&self, index: usize) -> Result<[u8; N], SqlError> {
        match self.column(index)? {
            SqlValue::Blob(bytes) => {
                <[u8; N]>::try_from(bytes.as_slice()).or_else(|_| Self::unexpected(index, "of the right length"))
            }
            _ => Self::unexpected(index, "a blob"),
        }
    }
}

impl From<&[u8]> for SqlValue {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<u64> for SqlValue {
    /// Clamped to 2⁵³ − 1.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number.min(SAFE_INTEGER_MAX)).unwrap_or(i64::MAX))
    }
}

impl From<u8> for SqlValue {
    fn from(number: u8) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<u32> for SqlValue {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<crate::time::UnixMillis> for SqlValue {
    /// Clamped to 2⁵³ − 1, far beyond any date.
    fn from(time: crate::time::UnixMillis) -> Self {
        Self::from(time.0)
    }
}

const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;
