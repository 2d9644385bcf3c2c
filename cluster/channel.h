// A gRPC channel to another process of the cluster, as every part of Carousel opens it: a peer that
// falls silent is noticed by pings, whether or not there is a call, and the call fails.
#pragma once

#include <grpcpp/grpcpp.h>

#include <limits>
#include <memory>
#include <string>

#include "cluster/lease.h"

namespace carousel {

struct ChannelTerms {
  LeaseTerms lease;                 // a ping every heartbeat_every, answered within ping_timeout
  int max_message_bytes = 4 << 20;  // larger ones are refused on arrival
};

inline std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                                  const ChannelTerms& terms = {}) {
  const LeaseTerms& lease = terms.lease;
  grpc::ChannelArguments arguments;
  // A connection of its own: bulk bytes must not stand in front of heartbeats. For as long as the
  // channel lives, even if pings are all that it carries: by default it would end after half an
  // hour.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, std::numeric_limits<int>::max());
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(lease.heartbeat_every * 1000));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(lease.ping_timeout() * 1000));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // else they end after the second
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // the environment's is for the world outside
  arguments.SetMaxReceiveMessageSize(terms.max_message_bytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// A server that answers those pings, however often they come.
inline void AcceptPings(grpc::ServerBuilder* builder) {
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
}

}  // namespace carousel
