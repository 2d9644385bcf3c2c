// What the tests of the core share: a cluster, and what clients ask of it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/coordinator/fake_cluster.h"

namespace carousel {

class CoreTest : public testing::Test {
 protected:
  absl::Status Pause(const std::string& job) { return cluster_->Pause(cluster_.NewRequest(), job); }
  absl::Status Cancel(const std::string& job) {
    return cluster_->Cancel(cluster_.NewRequest(), job);
  }
  absl::Status Resume(const std::string& job, int stages = 0) {
    ResumeChanges changes;
    changes.pipeline.set_stages(stages);
    return cluster_->Resume(cluster_.NewRequest(), job, changes);
  }
  void ExpectDone(const std::string& job, const JobSpec& spec) {
    const Job view = cluster_.View(job);
    EXPECT_EQ(view.state(), DONE) << view.reason();
    EXPECT_EQ(view.step(), spec.steps());
    EXPECT_EQ(view.committed_step(), spec.steps());
    EXPECT_EQ(view.state_digest(), TrainedState(spec, spec.steps()));
    EXPECT_EQ(view.tokens(), 100 * spec.steps()) << "every step counted once";
    EXPECT_DOUBLE_EQ(view.loss(), 10.0 / spec.steps());
  }

  FakeCluster cluster_;
};

}  // namespace carousel
