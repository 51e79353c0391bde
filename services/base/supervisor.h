// Tells systemd how a unit of Type=notify is (sd_notify(3)): a datagram each to the socket in $NOTIFY_SOCKET, without
// its library. Who was started by something else tells nobody.
//
// Thread rule: one thread.
#pragma once

namespace gatepost::base {

class Supervisor {
 public:
  // `socket`: what $NOTIFY_SOCKET says: a path, or an abstract name after '@'. Null or empty: there is nobody to tell.
  explicit Supervisor(const char* socket);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // The program serves. The first call counts. What cannot be told within a second is not told: systemd's own
  // time-out (TimeoutStartSec) shows that.
  void Ready();
  // It was asked to end, and does.
  void Stopping();

 private:
  void Tell(const char* state);

  int socket_ = -1;
  bool ready_ = false;
};

}  // namespace gatepost::base
