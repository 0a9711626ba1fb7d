package code

// The codes. Numbers are frozen: a new meaning gets a new number, in the
// thousand of its action.
const (
	OK Code = 0

	Unknown          Code = 1001
	HeartbeatTimeout Code = 1002
	AckTimeout       Code = 1003
	Reconnect        Code = 1004

	RateLimited  Code = 2001
	Unavailable  Code = 2002
	Busy         Code = 2003
	Replaced     Code = 2004
	SlowConsumer Code = 2005
	InboxFull    Code = 2006
	Internal     Code = 2007
	NotReady     Code = 2008
	Deadline     Code = 2009
	Offline      Code = 2010
	Kicked       Code = 2011
	HelloTimeout Code = 2012
	WrongOwner   Code = 2013
	Hold         Code = 2014

	ServerFull Code = 3001
	Draining   Code = 3002
	Shutdown   Code = 3003

	Malformed          Code = 4001
	FrameTooLarge      Code = 4002
	ProtocolError      Code = 4003
	VersionUnsupported Code = 4004
	TokenInvalid       Code = 4011
	TokenExpired       Code = 4012
	TokenWrongDevice   Code = 4013
	ProductNotGranted  Code = 4014
	UnknownProduct     Code = 4015
	Banned             Code = 4016
	Unbound            Code = 4017
	TooManyBindings    Code = 4018
	InvalidArgument    Code = 4021
	PayloadTooLarge    Code = 4022
	TooManyTargets     Code = 4023
	Unauthenticated    Code = 4031
	PermissionDenied   Code = 4032
	NotFound           Code = 4041
	AlreadyExists      Code = 4042
	Conflict           Code = 4043
	FailedPrecondition Code = 4044

	DropDuplicate   Code = 5001
	DropExpired     Code = 5002
	DropWindow      Code = 5003
	DropGone        Code = 5004
	DropQueueFull   Code = 5005
	DropUnbound     Code = 5006
	DropSlow        Code = 5007
	DropReplaced    Code = 5008
	DropRecalled    Code = 5009
	DropDeadLetter  Code = 5010
	DropOldBatch    Code = 5011
	DropUnconnected Code = 5012
)

// Table is the table of codes, in order of number.
var Table = []Row{
	{OK, "OK", 200, 0, true, "Success."},

	{Unknown, "UNKNOWN", 503, 0, false, "The outcome is not known: the message may still be delivered. Retry with the same dedup_id."},
	{HeartbeatTimeout, "HEARTBEAT_TIMEOUT", 0, 0, true, "Nothing was heard on the connection for longer than the heartbeat allows. Connect again; ping more often if it repeats."},
	{AckTimeout, "ACK_TIMEOUT", 0, 0, true, "Messages stayed unacknowledged for too long. Connect again; what is unacknowledged comes again."},
	{Reconnect, "RECONNECT", 0, 0, true, "The server asks for a new connection. Connect again with the resume token."},

	{RateLimited, "RATE_LIMITED", 429, 1000, true, "Too many requests or too much queued. Retry after the hint."},
	{Unavailable, "UNAVAILABLE", 503, 1000, true, "A service or store behind this one is away. Retry after the hint."},
	{Busy, "BUSY", 503, 2000, true, "Too many logins at once. Retry after the hint."},
	{Replaced, "REPLACED", 409, 10000, true, "The same device logged in on another connection. Come back only after the hint, or two copies of one device would throw each other off for ever."},
	{SlowConsumer, "SLOW_CONSUMER", 0, 1000, true, "The device read too slowly and its buffer is full. Connect again after the hint; stored messages come again."},
	{InboxFull, "INBOX_FULL", 429, 30000, false, "The lane of this device and product is full. Retry after the device has consumed, or use a collapse_key."},
	{Internal, "INTERNAL", 500, 1000, true, "A fault of the gateway. Retry after the hint; the request id finds it in the logs."},
	{NotReady, "NOT_READY", 503, 200, false, "The slot is being rebuilt or refilled. Retry after the hint."},
	{Deadline, "DEADLINE", 504, 200, false, "No answer within the time given. It may still happen; retry with the same dedup_id."},
	{Offline, "OFFLINE", 409, 5000, false, "The device is not connected or its window is closed, and a qos 0 message is not stored. Retry later or use qos 1."},
	{Kicked, "KICKED", 409, 5000, true, "An operator or the product's backend ended the connection. Connect again after the hint."},
	{HelloTimeout, "HELLO_TIMEOUT", 0, 1000, true, "No complete HELLO arrived in time. Connect again after the hint and send HELLO at once."},
	{WrongOwner, "WRONG_OWNER", 503, 50, false, "The slot belongs to another instance in a newer view. Fetch the view and retry there."},
	{Hold, "HOLD", 0, 5000, true, "The upstream queue of this product is full. Keep the data and send it again after the hint."},

	{ServerFull, "SERVER_FULL", 503, 1000, true, "This room has no place left. Connect to another address."},
	{Draining, "DRAINING", 503, 0, true, "This instance is being emptied. Connect to another address."},
	{Shutdown, "SHUTDOWN", 503, 500, true, "This instance is stopping. Connect to another address."},

	{Malformed, "MALFORMED", 400, 0, true, "A frame or request that cannot be read. Mend the sender."},
	{FrameTooLarge, "FRAME_TOO_LARGE", 0, 0, true, "A frame longer than max_frame. Send smaller frames."},
	{ProtocolError, "PROTOCOL_ERROR", 0, 0, true, "A frame that is not allowed in this state, such as anything before HELLO. Mend the sender."},
	{VersionUnsupported, "VERSION_UNSUPPORTED", 0, 0, true, "No common protocol version. Upgrade the device's SDK."},
	{TokenInvalid, "TOKEN_INVALID", 401, 0, true, "The token is not a valid device token or its signature is wrong. Get a new token."},
	{TokenExpired, "TOKEN_EXPIRED", 401, 0, true, "The token has expired. Get a new token."},
	{TokenWrongDevice, "TOKEN_WRONG_DEVICE", 401, 0, true, "The token is for another device. Use the token of this device."},
	{ProductNotGranted, "PRODUCT_NOT_GRANTED", 403, 0, true, "Neither the token nor a grant names this product. Get a token or a bind grant for it."},
	{UnknownProduct, "UNKNOWN_PRODUCT", 404, 0, true, "There is no such product. Check its name or create it."},
	{Banned, "BANNED", 403, 0, true, "This device is banned. Do not come back with this identity."},
	{Unbound, "UNBOUND", 0, 0, true, "The product is no longer bound on this connection. Bind it again only if the app asks for it."},
	{TooManyBindings, "TOO_MANY_BINDINGS", 0, 0, true, "More products or tags on one connection than the limit. Bind fewer."},
	{InvalidArgument, "INVALID_ARGUMENT", 400, 0, true, "A field has a value that is not allowed. The message names it."},
	{PayloadTooLarge, "PAYLOAD_TOO_LARGE", 413, 0, true, "The payload is larger than the limit (64 KiB by default). Send less, or a link."},
	{TooManyTargets, "TOO_MANY_TARGETS", 400, 0, false, "More devices in one push than the limit (1,000). Split it."},
	{Unauthenticated, "UNAUTHENTICATED", 401, 0, false, "No API key, or not a valid one. Send Authorization: Bearer KEY."},
	{PermissionDenied, "PERMISSION_DENIED", 403, 0, false, "This key may not do that. Use the product's own key or the operator's."},
	{NotFound, "NOT_FOUND", 404, 0, false, "There is no such thing. Check the name in the message."},
	{AlreadyExists, "ALREADY_EXISTS", 409, 0, false, "A thing of that name exists. Choose another name."},
	{Conflict, "CONFLICT", 409, 0, false, "It was changed by somebody else meanwhile. Read it again and repeat."},
	{FailedPrecondition, "FAILED_PRECONDITION", 409, 0, false, "Not possible in the present state. The message says what must change first."},

	{DropDuplicate, "DUPLICATE", 0, 0, false, "The connection was already sent this seq."},
	{DropExpired, "EXPIRED", 0, 0, false, "The message's ttl ended before it was acknowledged."},
	{DropWindow, "WINDOW_CLOSED", 0, 0, false, "The lane's window was closed or a load ran: kept in the lane, loaded when the window opens."},
	{DropGone, "GONE", 0, 0, false, "The room does not have the connection any more."},
	{DropQueueFull, "QUEUE_FULL", 0, 0, false, "A bounded queue inside the gateway was full."},
	{DropUnbound, "NOT_BOUND", 0, 0, false, "The device has not bound the product."},
	{DropSlow, "SLOW", 0, 0, false, "The connection's outbound buffer was full."},
	{DropReplaced, "COLLAPSED", 0, 0, false, "A newer message with the same collapse_key took its place."},
	{DropRecalled, "RECALLED", 0, 0, false, "The sender took the message back."},
	{DropDeadLetter, "DEAD_LETTER", 0, 0, false, "The redelivery budget was spent."},
	{DropOldBatch, "STALE", 0, 0, false, "A late result for a connection or load that has ended."},
	{DropUnconnected, "UNCONNECTED", 0, 0, false, "No live connection to the service it was meant for."},
}
