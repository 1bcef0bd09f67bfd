//! The bus on a real RabbitMQ node.
