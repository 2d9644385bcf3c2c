// What every transport promises, told over loopback and over gRPC.

#include "worker/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/worker/edge_pair.h"
#include "worker/lost_peer.h"

namespace carousel {
namespace {

using kernels::DType;
using kernels::Event;
using kernels::Span;
using ::testing::HasSubstr;

Tag TagOf(int step) { return {step, ACTIVATION, 1, 2}; }

class Devices {
 public:
  explicit Devices(const std::string& name)
      : backends_{*kernels::NewBackend(name, 1), *kernels::NewBackend(name, 1)} {}

  std::vector<kernels::Backend*> all() { return {backends_[0].get(), backends_[1].get()}; }

  Span NewSpan(int device, const std::vector<float>& values) {
    kernels::Backend& backend = *backends_[device];
    buffers_.push_back(*backend.Allocate(static_cast<int64_t>(values.size()) * 4));
    const Span span = buffers_.back().As(DType::kF32);
    const kernels::Stream stream = backend.NewStream();
    backend.CopyToDevice(stream, values.data(), span);
    EXPECT_TRUE(backend.Record(stream).Wait().ok());
    return span;
  }

  std::vector<float> Content(int device, Span span) {
    kernels::Backend& backend = *backends_[device];
    std::vector<float> values(span.size());
    const kernels::Stream stream = backend.NewStream();
    backend.CopyToHost(stream, span, values.data());
    EXPECT_TRUE(backend.Record(stream).Wait().ok());
    return values;
  }

 private:
  std::unique_ptr<kernels::Backend> backends_[2];
  std::vector<kernels::Buffer> buffers_;
};

struct Door {
  const char* transport;
  const char* backend;
};

class TransportTest : public ::testing::TestWithParam<Door> {
 protected:
  TransportTest() {
    if (GetParam().transport == std::string("grpc")) {
      pair_ = std::make_unique<GrpcPair>(devices_.all(), /*credits=*/1);
    } else {
      pair_ = std::make_unique<LoopbackPair>(devices_.all(), /*credits=*/1);
    }
  }
  Transport& stage(int index) { return pair_->stage(index); }

  Devices devices_{GetParam().backend};
  std::unique_ptr<EdgePair> pair_;
};

INSTANTIATE_TEST_SUITE_P(Doors, TransportTest,
                         ::testing::Values(Door{"loopback", "cpu"}, Door{"loopback", "test"},
                                           Door{"grpc", "cpu"}, Door{"grpc", "test"}),
                         [](const auto& info) {
                           return std::string(info.param.transport) + "_" + info.param.backend;
                         });

TEST_P(TransportTest, TensorsArriveInTheOrderInWhichTheyWereSent) {
  std::vector<Span> sent, received;
  for (int i = 0; i < 8; ++i) {
    sent.push_back(devices_.NewSpan(0, {static_cast<float>(i), 0.5f}));
    received.push_back(devices_.NewSpan(1, {-1, -1}));
  }

  for (int i = 0; i < 8; ++i) stage(0).Send(1, TagOf(i), sent[i], Event());
  std::vector<Event> done;
  for (int i = 0; i < 8; ++i) done.push_back(stage(1).Recv(0, TagOf(i), received[i], Event()));

  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(done[i].Wait().ok()) << done[i].Wait();
    EXPECT_EQ(devices_.Content(1, received[i]), (std::vector<float>{static_cast<float>(i), 0.5f}));
  }
}

TEST_P(TransportTest, BothDirectionsAreEdgesOfTheirOwn) {
  const Span up = devices_.NewSpan(0, {1}), down = devices_.NewSpan(1, {2});
  const Span up_here = devices_.NewSpan(1, {0}), down_here = devices_.NewSpan(0, {0});

  stage(0).Send(1, TagOf(0), up, Event());
  stage(1).Send(0, TagOf(0), down, Event());
  EXPECT_TRUE(stage(1).Recv(0, TagOf(0), up_here, Event()).Wait().ok());
  EXPECT_TRUE(stage(0).Recv(1, TagOf(0), down_here, Event()).Wait().ok());

  EXPECT_EQ(devices_.Content(1, up_here), (std::vector<float>{1}));
  EXPECT_EQ(devices_.Content(0, down_here), (std::vector<float>{2}));
}

TEST_P(TransportTest, ASpanMayBeWrittenAgainOnceItsSendIsComplete) {
  const Span span = devices_.NewSpan(0, {1}), here = devices_.NewSpan(1, {0});

  ASSERT_TRUE(stage(0).Send(1, TagOf(0), span, Event()).Wait().ok());
  kernels::Backend& backend = *devices_.all()[0];
  const kernels::Stream stream = backend.NewStream();
  backend.Enqueue(stream, kernels::Zero{.x = span});
  ASSERT_TRUE(backend.Record(stream).Wait().ok());

  ASSERT_TRUE(stage(1).Recv(0, TagOf(0), here, Event()).Wait().ok());
  EXPECT_EQ(devices_.Content(1, here), (std::vector<float>{1}));
}

TEST_P(TransportTest, TensorsOfManyFramesArriveWhole) {
  std::vector<float> values(700'001);  // 2.7 MiB
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Span sent = devices_.NewSpan(0, values);
  const Span here = devices_.NewSpan(1, std::vector<float>(values.size()));

  stage(0).Send(1, TagOf(0), sent, Event());

  const absl::Status done = stage(1).Recv(0, TagOf(0), here, Event()).Wait();
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(devices_.Content(1, here), values);
}

TEST_P(TransportTest, RecordsTravelBetweenTensors) {
  const Span sent = devices_.NewSpan(0, {7}), here = devices_.NewSpan(1, {0});

  ASSERT_TRUE(stage(0).Send(1, TagOf(0), sent, Event()).Wait().ok());
  ASSERT_TRUE(stage(0).SendBytes(1, {0, NORM_PARTIALS}, "squares").ok());
  ASSERT_TRUE(stage(0).SendBytes(1, {1, NORM_PARTIALS}, "").ok());

  EXPECT_TRUE(stage(1).Recv(0, TagOf(0), here, Event()).Wait().ok());
  EXPECT_EQ(*stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}), "squares");
  EXPECT_EQ(*stage(1).ReceiveBytes(0, {1, NORM_PARTIALS}), "");
}

TEST_P(TransportTest, ATagThatThePlanDoesNotExpectIsAnErrorThatNamesBoth) {
  ASSERT_TRUE(stage(0).SendBytes(1, {5, NORM_PARTIALS}, "squares").ok());

  const absl::Status wrong = stage(1).ReceiveBytes(0, {5, DECISION}).status();

  EXPECT_TRUE(absl::IsDataLoss(wrong));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("expected decision of step 5"));
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("got norm partials of step 5"));
}

TEST_P(TransportTest, AbortEndsWhatWaitsAndWhatComesLater) {
  const Span here = devices_.NewSpan(1, {0});
  const Event waiting = stage(1).Recv(0, TagOf(0), here, Event());
  absl::Status blocked;
  std::thread asking([&] { blocked = stage(1).ReceiveBytes(0, {0, DECISION}).status(); });

  stage(1).Abort(absl::CancelledError("dropped"));
  asking.join();

  EXPECT_EQ(waiting.Wait(), absl::CancelledError("dropped"));
  EXPECT_EQ(blocked, absl::CancelledError("dropped"));
  EXPECT_EQ(stage(1).Recv(0, TagOf(1), here, Event()).Wait(), absl::CancelledError("dropped"));
  EXPECT_EQ(stage(1).SendBytes(0, {0, DECISION}, ""), absl::CancelledError("dropped"));
}

// However far a sender is ahead, its tensors stay on the device: one lies on its host, and as many
// on the receiver's as it made room for.
TEST_P(TransportTest, ASendIsCompleteOnlyOnceThereIsRoom) {
  std::vector<Span> spans;
  std::vector<Event> sent;
  for (int i = 0; i < 5; ++i) {
    spans.push_back(devices_.NewSpan(0, {static_cast<float>(i)}));
    sent.push_back(stage(0).Send(1, TagOf(i), spans[i], Event()));
  }
  const Span here = devices_.NewSpan(1, {-1});

  ASSERT_TRUE(sent[1].Wait().ok()) << "one there, one on its way";
  EXPECT_FALSE(sent[3].ready());
  EXPECT_FALSE(sent[4].ready());
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(stage(1).Recv(0, TagOf(i), here, Event()).Wait().ok()) << i;
  EXPECT_TRUE(sent[4].Wait().ok());
  EXPECT_EQ(devices_.Content(1, here), (std::vector<float>{4}));
}

TEST_P(TransportTest, AnAbortCompletesTheSendsThatWaitForRoom) {
  const Span span = devices_.NewSpan(0, {1});
  std::vector<Event> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(stage(0).Send(1, TagOf(i), span, Event()));

  stage(0).Abort(absl::CancelledError("dropped"));

  EXPECT_EQ(sent[4].Wait(), absl::CancelledError("dropped"));
  EXPECT_EQ(stage(0).Send(1, TagOf(5), span, Event()).Wait(), absl::CancelledError("dropped"));
}

// A device that failed has nothing to send; whoever waits for it must hear of it.
TEST_P(TransportTest, ASendWhoseContentNeverComesFailsTheTransport) {
  const Span span = devices_.NewSpan(0, {1});
  const Event ready = Event::Pending();
  Event(ready).Complete(absl::InternalError("the device fell over"));

  const Event sent = stage(0).Send(1, TagOf(0), span, ready);
  const absl::Status heard = stage(0).ReceiveBytes(1, {0, DECISION}).status();

  EXPECT_EQ(sent.Wait(), absl::InternalError("the device fell over"));
  EXPECT_EQ(heard, absl::InternalError("the device fell over"));
}

TEST(GrpcTransportTest, AStageThatGoesAwayIsNamedByTheStageThatReadsFromIt) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());
  ASSERT_TRUE(pair.stage(1).SendBytes(0, {0, DECISION}, "last words").ok());
  ASSERT_TRUE(pair.stage(0).ReceiveBytes(1, {0, DECISION}).ok());

  pair.stage(1).Abort(absl::CancelledError("killed"));
  const absl::Status lost = pair.stage(0).ReceiveBytes(1, {1, DECISION}).status();

  EXPECT_EQ(LostStageOf(lost), 1) << lost;
  EXPECT_THAT(std::string(lost.message()), HasSubstr(pair.worker(1).address()));
}

TEST(GrpcTransportTest, AStageThatGoesAwayIsNamedByTheStageThatWritesToIt) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, "squares").ok());
  ASSERT_TRUE(pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}).ok());

  pair.worker(1).Stop();
  const absl::Status lost = pair.stage(0).ReceiveBytes(1, {0, DECISION}).status();

  EXPECT_EQ(LostStageOf(lost), 1) << lost;
  EXPECT_THAT(std::string(lost.message()), HasSubstr("the edge from stage 0 to stage 1"));
}

// It opened no edge of its own that could close.
TEST(GrpcTransportTest, AStageThatIsOverIsNamedEvenIfItNeverSentAnything) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, "squares").ok());
  ASSERT_TRUE(pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}).ok());

  pair.stage(1).Abort(absl::CancelledError("its disk is full"));
  const absl::Status lost = pair.stage(0).ReceiveBytes(1, {0, DECISION}).status();

  EXPECT_EQ(LostStageOf(lost), 1) << lost;
}

TEST(GrpcTransportTest, AStaleEpochIsFencedOffAndHurtsNobody) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());
  const auto stale = pair.NewTransport(devices.all()[0], /*stage=*/0, /*epoch=*/3, /*credits=*/2);

  (void)stale->SendBytes(1, {0, NORM_PARTIALS}, "from the past");
  const absl::Status refused = stale->ReceiveBytes(1, {0, DECISION}).status();

  EXPECT_THAT(std::string(refused.message()), HasSubstr("job job, epoch 3 is not installed"));
  EXPECT_EQ(LostStageOf(refused), 1) << "to this epoch its stage is gone";
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, "of today").ok());
  EXPECT_EQ(*pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}), "of today");
}

// Says hello on an edge, and returns how the worker ended it.
grpc::Status OpenEdge(const std::string& address, int from_stage, int to_stage) {
  const auto stub =
      Worker::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Exchange(&context);
  Frame open;
  open.set_job("job");
  open.set_epoch(4);
  open.set_kind(OPEN);
  open.set_from_stage(from_stage);
  open.set_to_stage(to_stage);
  stream->Write(open);
  stream->WritesDone();
  Credit credit;
  while (stream->Read(&credit)) {
  }
  return stream->Finish();
}

TEST(GrpcTransportTest, ASecondEdgeFromAStageIsRefusedAndHurtsNobody) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, "squares").ok());
  ASSERT_TRUE(pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}).ok());

  const grpc::Status second = OpenEdge(pair.worker(1).address(), 0, 1);

  EXPECT_EQ(second.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(second.error_message(), HasSubstr("from stage 0 to stage 1 is open already"));
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {1, NORM_PARTIALS}, "more").ok());
  EXPECT_EQ(*pair.stage(1).ReceiveBytes(0, {1, NORM_PARTIALS}), "more");
}

TEST(GrpcTransportTest, AnEdgeThatIsNotThePlansIsRefused) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());

  for (const auto& [from, to] : {std::pair{0, 0}, {1, 1}, {-1, 1}, {2, 1}}) {
    const grpc::Status refused = OpenEdge(pair.worker(1).address(), from, to);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << from << " " << to;
    EXPECT_THAT(refused.error_message(), HasSubstr("this worker holds stage 1 of 2"));
  }
  ASSERT_TRUE(pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, "squares").ok());
  EXPECT_EQ(*pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}), "squares");
}

// The sender is not told that its peer is lost: that would send the coordinator looking elsewhere.
TEST(GrpcTransportTest, ATensorAboveTheLimitOfTheJobIsRefusedWithTheSameWordsAtBothEnds) {
  Devices devices("cpu");
  GrpcPair pair(devices.all());

  (void)pair.stage(0).SendBytes(1, {0, NORM_PARTIALS}, std::string((8 << 20) + 1, 'x'));
  const absl::Status refused = pair.stage(1).ReceiveBytes(0, {0, NORM_PARTIALS}).status();
  const absl::Status told = pair.stage(0).ReceiveBytes(1, {0, DECISION}).status();

  for (const absl::Status& status : {refused, told}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("a tensor of 8388609 bytes; the largest"));
    EXPECT_EQ(LostStageOf(status), std::nullopt);
  }
}

TEST(GrpcTransportTest, AbortDoesNotWaitForAPeerThatNeverComes) {
  Devices devices("cpu");
  // Without another user gRPC shuts down with the transport, and may take 10 s to give up the
  // connection.
  const ServedWorker worker;
  GrpcTransport alone(devices.all()[0], {.job = "job",
                                         .epoch = 1,
                                         .stage = 0,
                                         .addresses = {"127.0.0.1:1", "127.0.0.1:1"},
                                         .max_tensor_bytes = 1024});

  alone.Send(1, TagOf(0), devices.NewSpan(0, {1}), Event());
  alone.Abort(absl::CancelledError("dropped"));

  EXPECT_EQ(alone.ReceiveBytes(1, {0, DECISION}).status(), absl::CancelledError("dropped"));
}

// A peer that makes room for two tensors and never for more.
class NarrowPeer : public Worker::Service {
 public:
  grpc::Status Exchange(grpc::ServerContext*,
                        grpc::ServerReaderWriter<Credit, Frame>* stream) override {
    Frame frame;
    EXPECT_TRUE(stream->Read(&frame));
    EXPECT_EQ(frame.kind(), OPEN);
    Credit credit;
    credit.set_tensors(2);
    stream->Write(credit);
    while (stream->Read(&frame)) {
      if (++tensors == 2) seen_two.Complete();
    }
    return grpc::Status::OK;
  }
  std::atomic<int> tensors{0};
  Event seen_two = Event::Pending();
};

TEST(GrpcTransportTest, NoTensorLeavesWithoutACredit) {
  Devices devices("cpu");
  NarrowPeer peer;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&peer);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  {
    GrpcTransport sender(devices.all()[0], {.job = "job",
                                            .epoch = 1,
                                            .stage = 0,
                                            .addresses = {"", absl::StrCat("127.0.0.1:", port)},
                                            .max_tensor_bytes = 1024});

    for (int i = 0; i < 6; ++i) ASSERT_TRUE(sender.SendBytes(1, {i, NORM_PARTIALS}, "x").ok());
    ASSERT_TRUE(peer.seen_two.Wait().ok());
  }
  server->Shutdown();  // waits for the end of the stream

  EXPECT_EQ(peer.tensors, 2);
}

}  // namespace
}  // namespace carousel
