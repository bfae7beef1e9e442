//! `tower-sessions-redis-store` for tower-sessions 0.15. The published one is for 0.14; this one
//! makes the same calls.

use async_trait::async_trait;
use fred::{
    prelude::{Builder, Client, ClientLike, Config, KeysInterface},
    types::{Expiration, SetOptions},
};
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

#[derive(Clone, Debug)]
pub struct RedisStore(pub Client);

pub async fn connect(url: &str) -> crate::Result<Client> {
    let client = Builder::from_config(Config::from_url(url)?).build()?;
    client.init().await?;
    Ok(client)
}

impl RedisStore {
    async fn set(&self, record: &Record, when: SetOptions) -> Result<bool> {
        let value = rmp_serde::to_vec(record).map_err(|error| Error::Encode(error.to_string()))?;
        let end = Expiration::EXAT(record.expiry_date.unix_timestamp());
        let set = self.0.set(
            record.id.to_string(),
            value.as_slice(),
            Some(end),
            Some(when),
            false,
        );
        set.await.map_err(backend)
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        while !self.set(record, SetOptions::NX).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        self.set(record, SetOptions::XX).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let value: Option<Vec<u8>> = self.0.get(id.to_string()).await.map_err(backend)?;
        let record = value.map(|value| rmp_serde::from_slice(&value));
        record
            .transpose()
            .map_err(|error| Error::Decode(error.to_string()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.0.del(id.to_string()).await.map_err(backend)
    }
}

fn backend(error: fred::error::Error) -> Error {
    Error::Backend(error.to_string())
}
