//! The storage of an object, as durable as the platform makes it: what is
//! written can be read at once, is durable a while later, and is confirmed a
//! while after that.
//!
//! A copy of an object works on a database of its own. What has become durable
//! is a log of statements, kept outside of all copies: a new copy begins with
//! these, whatever an older one has written since.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rusqlite::Connection;
use rusqlite::backup::Backup;
use warifu::store::{Row, Sql, SqlError, SqlValue};
use warifu::time::UnixMillis;

use crate::support::sqlite::Sqlite;

/// Something that an object has written.
#[derive(Clone)]
pub enum Write {
    Statement(Rc<str>, Vec<SqlValue>),
    Alarm(UnixMillis),
}

/// What of an object is durable.
pub struct Durable {
    database: RefCell<Sqlite>,
    /// Statements that are durable and not in the database above yet.
    log: RefCell<Vec<Write>>,
}

impl Durable {
    pub fn empty() -> Self {
        Self { database: RefCell::new(Sqlite::in_memory()), log: RefCell::default() }
    }

    pub fn add(&self, writes: impl Iterator<Item = Write>) {
        self.log.borrow_mut().extend(writes);
    }

    /// The database as it is now.
    pub fn read(&self) -> Ref<'_, Sqlite> {
        let database = self.database.borrow();
        for write in self.log.take() {
            if let Write::Statement(statement, parameters) = write {
                database.run(&statement, &parameters).expect("it has run before");
            }
        }
        database
    }

    /// A copy of it, to work on or to come back to.
    pub fn copy(&self) -> Sqlite {
        copy(&self.read())
    }

    /// Becomes what was copied before, or empty.
    pub fn become_again(&self, earlier: Option<&Sqlite>) {
        self.log.take();
        self.database.replace(earlier.map_or_else(Sqlite::in_memory, copy));
    }
}

fn copy(from: &Sqlite) -> Sqlite {
    let mut to = Connection::open_in_memory().expect("SQLite opens");
    let backup = Backup::new(&from.connection, &mut to).expect("two databases");
    backup.step(-1).expect("all pages in one step");
    drop(backup);
    Sqlite::over(to)
}

/// The storage of one copy of an object.
pub struct Disk {
    sqlite: Sqlite,
    /// Not durable yet.
    written: RefCell<VecDeque<Write>>,
    durable: Cell<u64>,
    confirmed: Cell<u64>,
    /// Nothing more will ever be confirmed.
    is_broken: Cell<bool>,
    /// The next statements fail.
    failing: Cell<u32>,
    waiting: RefCell<Vec<Waker>>,
    /// Of the task that makes writes durable.
    writer: RefCell<Option<Waker>>,
}

impl Disk {
    pub fn new(sqlite: Sqlite) -> Self {
        Self {
            sqlite,
            written: RefCell::default(),
            durable: Cell::new(0),
            confirmed: Cell::new(0),
            is_broken: Cell::new(false),
            failing: Cell::new(0),
            waiting: RefCell::default(),
            writer: RefCell::default(),
        }
    }

    pub fn fail_next(&self, statements: u32) {
        self.failing.set(statements);
    }

    /// The platform then ends the object, since its memory may say more than
    /// its storage.
    pub fn break_down(&self) {
        self.is_broken.set(true);
        self.wake(&self.waiting.take());
    }

    /// How much was written, ever.
    pub fn issued(&self) -> u64 {
        self.durable.get() + self.written.borrow().len() as u64
    }

    /// Resolves once all that has been written by now is confirmed.
    pub async fn confirmed(&self) -> Result<(), SqlError> {
        let target = self.issued();
        poll_fn(|context| {
            if self.is_broken.get() {
                return Poll::Ready(Err(SqlError("the disk broke".to_owned())));
            }
            if self.confirmed.get() >= target {
                return Poll::Ready(Ok(()));
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Resolves when something is to be made durable; how much has been written.
    pub async fn dirty(&self) -> u64 {
        poll_fn(|context| {
            if self.issued() > self.durable.get() {
                return Poll::Ready(());
            }
            *self.writer.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.issued()
    }

    /// Takes what is to become durable now.
    pub fn take(&self, up_to: u64) -> Vec<Write> {
        let count = usize::try_from(up_to - self.durable.get()).expect("a few writes");
        self.durable.set(up_to);
        self.written.borrow_mut().drain(..count).collect()
    }

    pub fn confirm(&self, up_to: u64) {
        if !self.is_broken.get() {
            self.confirmed.set(up_to);
            self.wake(&self.waiting.take());
        }
    }

    pub fn set_alarm(&self, at: UnixMillis) {
        self.write(Write::Alarm(at));
    }

    fn write(&self, write: Write) {
        self.written.borrow_mut().push_back(write);
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    #[allow(clippy::unused_self, reason = "it is a part of the disk")]
    fn wake(&self, wakers: &[Waker]) {
        wakers.iter().for_each(Waker::wake_by_ref);
    }
}

/// What the object gets of it.
pub struct Storage(pub Rc<Disk>);

impl Sql for Storage {
    fn run(&self, statement: &str, parameters: &[SqlValue]) -> Result<Vec<Row>, SqlError> {
        let Disk { sqlite, failing, .. } = &*self.0;
        if failing.get() > 0 {
            failing.set(failing.get() - 1);
            return Err(SqlError("a statement failed".to_owned()));
        }
        let rows = sqlite.run(statement, parameters)?;
        if !statement.trim_start().starts_with("SELECT") {
            self.0.write(Write::Statement(statement.into(), parameters.to_vec()));
        }
        Ok(rows)
    }

    fn transaction(&self, work: &mut dyn FnMut() -> Result<(), SqlError>) -> Result<(), SqlError> {
        let before = self.0.written.borrow().len();
        self.0.sqlite.transaction(work).inspect_err(|_| self.0.written.borrow_mut().truncate(before))
    }
}
