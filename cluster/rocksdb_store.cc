// The only file that knows RocksDB (7.8). Two column families: records go through the synced log
// and small memtables; bulk files are written beside the database and linked into it at the
// bottommost level, where nothing ever rewrites them.
//
// After a failed write RocksDB refuses all further ones, also when there is space again, and a
// failed fsync must never be retried on the same handles: the store closes the database and opens
// it anew (which reads the log back) before the next write.
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cluster/mutex.h"
#include "cluster/status_macros.h"
#include "cluster/store.h"
#include "cluster/store_folder.h"

namespace carousel {
namespace {

// Left free by an ingest, so that the small records that commit it still fit.
constexpr uint64_t kReserveBytes = 16 << 20;
// What a closed database needs to open again: a manifest, a log, a flush of the memtable.
constexpr uint64_t kReopenBytes = 4 << 20;
constexpr size_t kMemtableBytes = 1 << 20;

rocksdb::Slice SliceOf(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ViewOf(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // The default mode drops every acknowledged batch after a flipped bit without a word; this one
  // forgives only a tail that was being written when the process died.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_background_jobs = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 3;
  options.max_log_file_size = 1 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions() {
  rocksdb::BlockBasedTableOptions table;
  // A block ends before a value that would overfill it, so that a chunk of megabytes shares its
  // checksum with no small neighbour.
  table.block_size_deviation = 99;
  table.checksum = rocksdb::kXXH3;
  table.no_block_cache = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = kMemtableBytes;
  options.memtable_protection_bytes_per_key = 8;
  options.paranoid_file_checks = true;
  return options;
}

rocksdb::ColumnFamilyOptions BulkOptions() {
  rocksdb::ColumnFamilyOptions options = FamilyOptions();
  options.disable_auto_compactions = true;
  return options;
}

rocksdb::WriteOptions SyncedWrite() {
  rocksdb::WriteOptions options;
  options.sync = true;
  options.protection_bytes_per_key = 8;
  return options;
}

// An open database with its two families; closed by its destructor, its memtables flushed so that
// the next open has no log to read.
struct Database {
  ~Database() {
    if (db == nullptr) return;
    db->Flush(rocksdb::FlushOptions(), records).PermitUncheckedError();
    db->DestroyColumnFamilyHandle(records).PermitUncheckedError();
    db->DestroyColumnFamilyHandle(bulk).PermitUncheckedError();
    db->Close().PermitUncheckedError();
    delete db;
  }
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* records = nullptr;
  rocksdb::ColumnFamilyHandle* bulk = nullptr;
};

class RocksDbStore : public Store {
 public:
  explicit RocksDbStore(std::string folder)
      : folder_(std::move(folder)),
        database_folder_(folder_ + "/rocksdb"),
        staging_folder_(folder_ + "/rocksdb.staging") {}

  absl::Status Open() {
    CAROUSEL_RETURN_IF_ERROR(MakePrivateFolder(folder_));
    CAROUSEL_RETURN_IF_ERROR(MakePrivateFolder(database_folder_));
    CAROUSEL_RETURN_IF_ERROR(CheckNotGutted());
    {
      WriterLock lock(&mutex_);
      CAROUSEL_RETURN_IF_ERROR(OpenDatabase());
    }
    // Only the owner of the lock may clear the staging folder.
    CAROUSEL_RETURN_IF_ERROR(MakePrivateFolder(staging_folder_));
    return EmptyFolder(staging_folder_);
  }

  std::string Name() const override { return folder_; }

  absl::StatusOr<std::string> Get(std::string_view key) const override {
    ReaderLock lock(&mutex_);
    if (database_ == nullptr) return Closed();
    std::string value;
    rocksdb::Status status =
        database_->db->Get(rocksdb::ReadOptions(), FamilyOf(key), SliceOf(key), &value);
    if (!status.ok()) return ToStatus(status, "reading a key");
    return value;
  }

  absl::Status Commit(const StoreBatch& batch) override {
    CAROUSEL_RETURN_IF_ERROR(CheckRecordKeys(batch));
    CAROUSEL_RETURN_IF_ERROR(ReopenAfterFailure());
    ReaderLock lock(&mutex_);
    if (database_ == nullptr) return Closed();
    rocksdb::WriteBatch writes;
    for (const StoreBatch::Change& change : batch.changes) {
      rocksdb::Status added = change.remove
                                  ? writes.Delete(database_->records, change.key)
                                  : writes.Put(database_->records, change.key, change.value);
      if (!added.ok()) return ToStatus(added, "gathering a batch");
    }
    CAROUSEL_RETURN_IF_ERROR(
        Written(database_->db->Write(SyncedWrite(), &writes), "committing a batch"));
    if (batch.seal) {
      // The batch is durable already: a flush that fails only leaves it in the log, and the next
      // write finds the failure noted.
      Written(database_->db->Flush(rocksdb::FlushOptions(), database_->records), "sealing a batch")
          .IgnoreError();
    }
    return absl::OkStatus();
  }

  absl::Status Scan(std::string_view prefix,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override {
    ReaderLock lock(&mutex_);
    if (database_ == nullptr) return Closed();
    if (!prefix.empty()) return ScanFamily(FamilyOf(prefix), prefix, visit).status();
    CAROUSEL_ASSIGN_OR_RETURN(bool go_on, ScanFamily(database_->records, prefix, visit));
    if (!go_on) return absl::OkStatus();
    return ScanFamily(database_->bulk, prefix, visit).status();
  }

  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t expected_bytes) override {
    CAROUSEL_RETURN_IF_ERROR(ReopenAfterFailure());
    CAROUSEL_RETURN_IF_ERROR(
        CheckFree(folder_, expected_bytes + expected_bytes / 10 + kReserveBytes));
    auto ingest = std::make_unique<RocksDbIngest>(
        this, absl::StrCat(staging_folder_, "/", next_staging_file_++, ".sst"));
    CAROUSEL_RETURN_IF_ERROR(ingest->Open());
    return ingest;
  }

  absl::Status RemovePrefix(std::string_view prefix) override {
    if (prefix.empty()) {
      return absl::InvalidArgumentError(folder_ + ": an empty prefix names all keys");
    }
    CAROUSEL_RETURN_IF_ERROR(ReopenAfterFailure());
    ReaderLock lock(&mutex_);
    if (database_ == nullptr) return Closed();
    return prefix[0] == kBulkFamily ? RemoveBulk(prefix) : RemoveRecords(prefix);
  }

 private:
  class RocksDbIngest : public Ingest {
   public:
    RocksDbIngest(RocksDbStore* store, std::string path)
        : store_(store),
          path_(std::move(path)),
          writer_(rocksdb::EnvOptions(), rocksdb::Options(DatabaseOptions(), BulkOptions())) {}

    ~RocksDbIngest() override {
      std::error_code ignored;
      std::filesystem::remove(path_, ignored);
    }

    absl::Status Open() { return store_->Staged(writer_.Open(path_)); }

    absl::Status Add(std::string_view key, std::string_view value) override {
      CAROUSEL_RETURN_IF_ERROR(CheckBulkKey(key, last_key_));
      last_key_ = key;
      return store_->Staged(writer_.Put(SliceOf(key), SliceOf(value)));
    }

    absl::Status Finish() override {
      if (last_key_.empty()) return absl::OkStatus();
      CAROUSEL_RETURN_IF_ERROR(store_->Staged(writer_.Finish()));
      return store_->IngestFile(path_);
    }

   private:
    RocksDbStore* const store_;
    const std::string path_;
    rocksdb::SstFileWriter writer_;
    std::string last_key_;
  };

  // A database that lost its CURRENT file would be taken for a new one and written over.
  absl::Status CheckNotGutted() const {
    std::error_code error;
    if (std::filesystem::exists(database_folder_ + "/CURRENT", error)) return absl::OkStatus();
    for (const auto& entry : std::filesystem::directory_iterator(database_folder_, error)) {
      if (entry.path().extension() != ".sst" && entry.path().extension() != ".log") continue;
      return absl::DataLossError(absl::StrCat(
          folder_, ": the store has data (", entry.path().filename().string(),
          ") but its file CURRENT is missing; put it back, or move the folder away to start anew"));
    }
    if (!error) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("cannot read the folder ", database_folder_, ": ", error.message()));
  }

  absl::Status OpenDatabase() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
        {rocksdb::kDefaultColumnFamilyName, FamilyOptions()}, {"bulk", BulkOptions()}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    auto database = std::make_unique<Database>();
    rocksdb::Status status =
        rocksdb::DB::Open(DatabaseOptions(), database_folder_, families, &handles, &database->db);
    if (!status.ok()) return ToStatus(status, "opening the store");
    database->records = handles[0];
    database->bulk = handles[1];
    database_ = std::move(database);
    return absl::OkStatus();
  }

  absl::Status ReopenAfterFailure() {
    if (!failed_) return absl::OkStatus();
    CAROUSEL_RETURN_IF_ERROR(CheckFree(folder_, kReopenBytes));
    WriterLock lock(&mutex_);
    if (!failed_) return absl::OkStatus();
    database_.reset();
    CAROUSEL_RETURN_IF_ERROR(OpenDatabase());
    failed_ = false;
    return absl::OkStatus();
  }

  absl::Status IngestFile(const std::string& path) {
    CAROUSEL_RETURN_IF_ERROR(ReopenAfterFailure());
    ReaderLock lock(&mutex_);
    if (database_ == nullptr) return Closed();
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.write_global_seqno = false;
    return Written(database_->db->IngestExternalFile(database_->bulk, {path}, options),
                   "adding a bulk file");
  }

  absl::Status RemoveRecords(std::string_view prefix) ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    rocksdb::ColumnFamilyHandle* records = database_->records;
    rocksdb::WriteBatch writes;
    auto gather = [&](std::string_view key, std::string_view value) {
      return writes.Delete(records, SliceOf(key)).ok();
    };
    CAROUSEL_RETURN_IF_ERROR(ScanFamily(records, prefix, gather).status());
    return Written(database_->db->Write(SyncedWrite(), &writes), "removing records");
  }

  // Whole files go at once. Keys in a file that also holds others are covered by a range tombstone,
  // flushed so that no later ingest meets a memtable.
  absl::Status RemoveBulk(std::string_view prefix) ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const std::string end = PrefixEnd(prefix);
    const rocksdb::Slice first = SliceOf(prefix), last = SliceOf(end);
    rocksdb::DB* db = database_->db;
    CAROUSEL_RETURN_IF_ERROR(
        Written(rocksdb::DeleteFilesInRange(db, database_->bulk, &first, &last, false),
                "removing bulk files"));
    bool left = false;
    auto note = [&](std::string_view key, std::string_view value) {
      left = true;
      return false;
    };
    CAROUSEL_RETURN_IF_ERROR(ScanFamily(database_->bulk, prefix, note).status());
    if (!left) return absl::OkStatus();
    CAROUSEL_RETURN_IF_ERROR(Written(db->DeleteRange(SyncedWrite(), database_->bulk, first, last),
                                     "removing bulk keys"));
    return Written(db->Flush(rocksdb::FlushOptions(), database_->bulk), "removing bulk keys");
  }

  // Whether `visit` wanted to go on at the end.
  absl::StatusOr<bool> ScanFamily(
      rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const std::string end = PrefixEnd(prefix);
    const rocksdb::Slice bound = SliceOf(end);
    rocksdb::ReadOptions options;
    if (!end.empty()) options.iterate_upper_bound = &bound;
    std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator(options, family));
    for (at->Seek(SliceOf(prefix)); at->Valid(); at->Next()) {
      if (!visit(ViewOf(at->key()), ViewOf(at->value()))) return false;
    }
    if (!at->status().ok()) return ToStatus(at->status(), "reading keys");
    return true;
  }

  rocksdb::ColumnFamilyHandle* FamilyOf(std::string_view key) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !key.empty() && key[0] == kBulkFamily ? database_->bulk : database_->records;
  }

  absl::Status Closed() const {
    return absl::UnavailableError(
        folder_ +
        ": the store could not be opened again after a failed write; the next write tries");
  }

  // The outcome of a write to the database; a failure asks for a reopen before the next one.
  absl::Status Written(const rocksdb::Status& status, std::string_view doing) {
    if (status.ok()) return absl::OkStatus();
    failed_ = true;
    return ToStatus(status, doing);
  }

  // The outcome of a write to a staging file, which leaves the database as it was.
  absl::Status Staged(const rocksdb::Status& status) const {
    return status.ok() ? absl::OkStatus() : ToStatus(status, "writing a bulk file");
  }

  absl::Status ToStatus(const rocksdb::Status& status, std::string_view doing) const {
    if (status.IsNotFound()) return absl::NotFoundError(folder_ + ": no such key");
    const std::string text = status.ToString();
    const std::string message =
        absl::StrCat(folder_, ": ", absl::string_view(doing.data(), doing.size()), ": ", text);
    auto says = [&](int error) { return absl::StrContains(text, std::strerror(error)); };
    if (status.IsCorruption()) {
      return absl::DataLossError(absl::StrCat(message, "; the stored bytes are damaged"));
    }
    if (status.IsNoSpace() || says(EDQUOT) || says(EFBIG)) {
      return absl::ResourceExhaustedError(
          absl::StrCat(message, "; free space on that file system, the store goes on by itself"));
    }
    if (status.IsIOError() && absl::StrContains(text, "/LOCK: ")) {
      return absl::UnavailableError(
          absl::StrCat(folder_, ": in use by another process (", text,
                       "); stop that process, or give this one another state folder"));
    }
    if (says(EACCES) || says(EPERM) || says(EROFS)) {
      return absl::PermissionDeniedError(
          absl::StrCat(message, "; make the folder writable for this user"));
    }
    return absl::InternalError(message);
  }

  const std::string folder_;
  const std::string database_folder_;
  const std::string staging_folder_;
  std::atomic<uint64_t> next_staging_file_ = 0;
  std::atomic<bool> failed_ = false;  // a write failed since the database was opened
  mutable SharedMutex mutex_;         // held for reading while the database is used
  std::unique_ptr<Database> database_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& folder) {
  auto store = std::make_unique<RocksDbStore>(folder);
  CAROUSEL_RETURN_IF_ERROR(store->Open());
  return store;
}

}  // namespace carousel
