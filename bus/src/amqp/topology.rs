//! Declares the exchanges and queues. Every connection declares the same ones.
//!
//! A queue or exchange that exists with different properties is never used: the broker's refusal is returned. An exchange of
//! another type has an error of its own, because an operator must delete it.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{connection::failure, names::Names};
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

/// A queue, and the exchange that it is bound to.
struct Queue<'a> {
    name: &'a str,
    exchange: &'a str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
}

/// The exchanges and queues of one broker.
pub(super) struct Topology<'a> {
    pub(super) address: &'a BrokerAddress,
    pub(super) names: &'a Names,
}

impl Topology<'_> {
    /// Declares both exchanges and the dead-letter queue.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), ConnectError> {
        self.declare_exchange(channel, &self.names.exchange).await?;
        self.declare_exchange(channel, &self.names.dead_letters).await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let arguments = [
            ("x-queue-type", text("classic")),
            ("x-max-length", AMQPValue::LongInt(DEAD_LETTERS)),
            ("x-message-ttl", AMQPValue::LongInt(DEAD_LETTER_AGE)),
        ];
        let name = &self.names.dead_letters;
        self.declare_queue(channel, Queue { name, exchange: name, options, arguments: table(arguments) })
            .await
    }

    /// Declares and binds a replica's private queue, which is deleted with its connection.
    pub(super) async fn declare_private_queue(
        &self,
        channel: &Channel,
        name: &str,
    ) -> Result<(), ConnectError> {
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let arguments = [
            ("x-queue-type", text("classic")),
            ("x-max-length", AMQPValue::LongInt(PRIVATE_QUEUE_MESSAGES)),
            ("x-max-length-bytes", AMQPValue::LongInt(PRIVATE_QUEUE_BYTES)),
            ("x-dead-letter-exchange", text(&self.names.dead_letters)),
        ];
        let exchange = &self.names.exchange;
        self.declare_queue(channel, Queue { name, exchange, options, arguments: table(arguments) }).await
    }

    async fn declare_exchange(&self, channel: &Channel, name: &str) -> Result<(), ConnectError> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared =
            channel.exchange_declare(name.into(), ExchangeKind::Fanout, options, FieldTable::default());
        match declared.await.map_err(|error| failure(self.address, &error)) {
            Err(ConnectError::WrongTopology(refusal)) => Err(self.wrong_exchange(name, refusal)),
            declared => declared,
        }
    }

    /// Declares a queue and binds it to its exchange.
    async fn declare_queue(&self, channel: &Channel, queue: Queue<'_>) -> Result<(), ConnectError> {
        let Queue { name, exchange, options, arguments } = queue;
        let (key, none) = (ShortString::default(), FieldTable::default());
        let declared = async {
            channel.queue_declare(name.into(), options, arguments).await?;
            channel.queue_bind(name.into(), exchange.into(), key, QueueBindOptions::default(), none).await
        };
        declared.await.map_err(|error| failure(self.address, &error))
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
