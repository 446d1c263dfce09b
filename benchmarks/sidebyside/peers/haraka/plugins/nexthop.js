'use strict'

// Names the next hop for every domain. Without it Haraka would ask DNS.
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: @nexthop_port@ })
