//! Declares the exchanges and queues. Every connection declares the same ones.
//!
//! A queue or exchange that exists with different properties is never used: the broker's refusal is returned. An exchange of
//! another type has an error of its own, because an operator must delete it.

use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    connection::{Link, failure},
    error::LinkError,
    names::Names,
};
use crate::{
    address::BrokerAddress,
    error::{BrokerRefusal, ConnectError},
};

/// Messages in a private queue before the oldest become dead letters: 10 s at 1,000 a second, for a replica that does not
/// consume. It then sees a jump in the message numbers, and asks the log.
const PRIVATE_QUEUE_MESSAGES: i32 = 10_000;
/// The same in bytes, so that long events do not fill the broker's memory.
const PRIVATE_QUEUE_BYTES: i32 = 128 * 1024 * 1024;
/// How many dead letters are kept; then the oldest are dropped.
const DEAD_LETTERS: i32 = 10_000;
/// How long dead letters are kept: 7 days, in milliseconds.
const DEAD_LETTER_AGE: i32 = 7 * 24 * 60 * 60 * 1000;

/// The exchanges and queues of one broker.
pub(super) struct Topology<'a> {
    pub(super) address: &'a BrokerAddress,
    pub(super) names: &'a Names,
}

impl Topology<'_> {
    /// Declares both exchanges and the dead-letter queue.
    pub(super) async fn declare(&self, link: &mut Link) -> Result<(), ConnectError> {
        self.declare_exchange(link, &self.names.exchange).await?;
        self.declare_exchange(link, &self.names.dead_letters).await?;
        let name = &self.names.dead_letters;
        let arguments = [
            ("x-queue-type", text("classic")),
            ("x-max-length", AMQPValue::LongInt(DEAD_LETTERS)),
            ("x-message-ttl", AMQPValue::LongInt(DEAD_LETTER_AGE)),
        ];
        let queue = queue::Declare { durable: true, ..queue_of(name, arguments) };
        self.declare_queue(link, queue, name).await
    }

    /// Declares and binds a replica's private queue, which is deleted with its connection.
    pub(super) async fn declare_private_queue(
        &self,
        link: &mut Link,
        name: &str,
    ) -> Result<(), ConnectError> {
        let arguments = [
            ("x-queue-type", text("classic")),
            ("x-max-length", AMQPValue::LongInt(PRIVATE_QUEUE_MESSAGES)),
            ("x-max-length-bytes", AMQPValue::LongInt(PRIVATE_QUEUE_BYTES)),
            ("x-dead-letter-exchange", text(&self.names.dead_letters)),
        ];
        let queue = queue::Declare { exclusive: true, auto_delete: true, ..queue_of(name, arguments) };
        self.declare_queue(link, queue, &self.names.exchange).await
    }

    async fn declare_exchange(&self, link: &mut Link, name: &str) -> Result<(), ConnectError> {
        let declare = exchange::Declare {
            exchange: name.into(),
            kind: "fanout".into(),
            passive: false,
            durable: true,
            auto_delete: false,
            internal: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        let declared = link.ask(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))).await;
        match declared.map_err(|error| failure(self.address, error)) {
            Err(ConnectError::WrongTopology(refusal)) => Err(self.wrong_exchange(name, refusal)),
            declared => declared,
        }
    }

    /// Declares a queue and binds it to an exchange.
    async fn declare_queue(
        &self,
        link: &mut Link,
        queue: queue::Declare,
        exchange: &str,
    ) -> Result<(), ConnectError> {
        let bind = queue::Bind {
            queue: queue.queue.clone(),
            exchange: exchange.into(),
            routing_key: ShortString::default(),
            nowait: false,
            arguments: FieldTable::default(),
        };
        let declared = async {
            link.ask(AMQPClass::Queue(queue::AMQPMethod::Declare(queue))).await?;
            link.ask(AMQPClass::Queue(queue::AMQPMethod::Bind(bind))).await
        };
        declared.await.map_err(|error: LinkError| failure(self.address, error))
    }

    fn wrong_exchange(&self, exchange: &str, refusal: BrokerRefusal) -> ConnectError {
        match type_found(&refusal.to_string()) {
            Some(found) => ConnectError::WrongExchangeType {
                exchange: exchange.to_owned(),
                found: found.to_owned(),
                wanted: "fanout",
                command: deletion(self.address, exchange),
            },
            None => ConnectError::WrongTopology(refusal),
        }
    }
}

fn queue_of<const N: usize>(name: &str, arguments: [(&str, AMQPValue); N]) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: table(arguments),
    }
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Reads the type out of the broker's `… inequivalent arg 'type' for exchange 'a' in vhost '/': received 'fanout' but
/// current is 'direct'`.
fn type_found(refusal: &str) -> Option<&str> {
    let (_, found) = refusal.split_once("inequivalent arg 'type'")?.1.rsplit_once("current is '")?;
    found.strip_suffix('\'').or_else(|| found.split('\'').next())
}

/// The command that deletes an exchange. With `rabbitmqctl` only `eval` can; `rabbitmqadmin` needs the management plugin.
fn deletion(address: &BrokerAddress, exchange: &str) -> String {
    let (virtual_host, exchange) = (erlang(address.virtual_host()), erlang(exchange));
    let expression = format!(
        "rabbit_exchange:delete(rabbit_misc:r({virtual_host}, exchange, {exchange}), false, <<\"ringpad\">>)."
    );
    format!("rabbitmqctl eval '{}'", expression.replace('\'', r"'\''"))
}

/// A name as an Erlang binary.
fn erlang(name: &str) -> String {
    format!("<<\"{}\"/utf8>>", name.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_refusal_names_the_type_it_has() {
        let refusal = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'a' in vhost '/': received 'fanout' but \
                    current is 'direct'";
        assert_eq!(type_found(refusal), Some("direct"));
        let refusal = "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'a' in vhost '/': received 'true' \
                    but current is 'false'";
        assert_eq!(type_found(refusal), None);
    }

    #[test]
    fn names_are_quoted_for_the_shell_and_for_erlang() {
        assert_eq!(
            deletion(&"amqp://host".parse().unwrap(), "it's \"one\""),
            r#"rabbitmqctl eval 'rabbit_exchange:delete(rabbit_misc:r(<<"/"/utf8>>, exchange, <<"it'\''s \"one\""/utf8>>), false, <<"ringpad">>).'"#
        );
    }
}
