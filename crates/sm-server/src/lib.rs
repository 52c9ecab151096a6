//! Update endpoint and static release repository.
