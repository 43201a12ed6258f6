"""The scripts that Redis runs. Each is atomic, so no server sees an unfinished change.

Every key of a chat begins with the same prefix in braces: a Redis Cluster stores all of them in one slot. The names of
keys are part of the data format, so some differ from the words of the code:

    meta             hash    the application, the format, and the identity of the chat
    room:KEY         stream  the lines of a room; an entry is a run, and its id 0-SEQ the SEQ of its last line
    last, spelled    hashes  by room key: the SEQ of its last line, and its name as first written
    who, accepted    hashes  by token hash: the session as JSON, and the number of its last stored post
    home             hash    by token hash: the home server, which serves the member or holds their place
    held             set     token hashes of adopted members: their server lost its lease, and they have not resumed yet
    seen             zset    token hashes, by when they were seen, in milliseconds since 1970
    looks, claims    hashes  by skeleton of a name: the token hash that has it; by token hash: all its skeletons
    named            hash    by token hash: the skeletons of the name that was claimed last
    fact:KIND        hash    `Journal.list_facts`
    batch            hash    by server: the number of its last stored batch
    servers, lease:ID        the ids of all servers; a key for each as long as its lease lasts
    news             stream  events for every server: where members are, facts, notices
    inbox:ID         stream  requests to one server
"""

FORMAT = "1"  # of the data; a later version refuses or converts an earlier format
APPLICATION = "chat-room"
EVENTS = "news"  # the key of the stream of events
EVENTS_STORED = (
    100_000  # entries, some 30 MB: those of hours; a server that was cut off for longer loads everything again
)
INBOX_STORED = 10_000  # entries, for a server that is slow or gone

_COMMON = f"""
local P, me = ARGV[1], ARGV[2]
local function num(value) return string.format('%.0f', value) end
local function publish(...)  -- an event
  redis.call('XADD', P..'news', 'MAXLEN', '~', {EVENTS_STORED}, '*', 'by', me, ...)
end
local function delete_skeletons(token, wanted)  -- of a session, except those in the table `wanted`
  local claimed = redis.call('HGET', P..'claims', token)
  if not claimed then return end
  for skeleton in string.gmatch(claimed, '[^\\n]+') do
    if not wanted[skeleton] and redis.call('HGET', P..'looks', skeleton) == token then
      redis.call('HDEL', P..'looks', skeleton)
    end
  end
  redis.call('HDEL', P..'claims', token)
end
local function replace_skeletons(token, skeletons)  -- of a session, by these
  local wanted = {{}}
  for skeleton in string.gmatch(skeletons, '[^\\n]+') do wanted[skeleton] = true end
  delete_skeletons(token, wanted)
  for skeleton in pairs(wanted) do redis.call('HSET', P..'looks', skeleton, token) end
  if next(wanted) then redis.call('HSET', P..'claims', token, skeletons) end
end
local function raise_number(key, known)  -- a Redis that lost data must not give a SEQ twice
  if tonumber(redis.call('HGET', P..'last', key) or '0') < known then redis.call('HSET', P..'last', key, num(known)) end
end
local function last_event()  -- its id
  local last = redis.call('XREVRANGE', P..'news', '+', '-', 'COUNT', 1)
  return last[1] and last[1][1] or '0-0'
end
local function end_presence(token, who)  -- of a session that no server serves or holds
  delete_skeletons(token, {{}})
  redis.call('HDEL', P..'named', token)
  redis.call('HDEL', P..'home', token)
  redis.call('SREM', P..'held', token)
  publish('token', token, 'home', '', 'who', who)
end
local function has_owner(skeletons, token, rival)  -- other than these two
  for skeleton in string.gmatch(skeletons, '[^\\n]+') do
    local owner = redis.call('HGET', P..'looks', skeleton)
    if owner and owner ~= token and owner ~= rival then return true end
  end
  return false
end
local function serve(token, skeletons)  -- a session at this server, with its skeletons and these
  local claimed = redis.call('HGET', P..'claims', token)
  replace_skeletons(token, claimed and claimed..'\\n'..skeletons or skeletons)
  redis.call('HSET', P..'named', token, skeletons)
  local home, who = redis.call('HGET', P..'home', token), redis.call('HGET', P..'who', token)
  redis.call('HSET', P..'home', token, me)
  redis.call('SREM', P..'held', token)
  if home and home ~= me and who then publish('token', token, 'home', me, 'who', who) end
end
"""

# Return what is wrong with the data, an empty text if it is right, or `made` if the script created the chat.
OPEN_CHAT = """
local kind = redis.call('TYPE', P..'meta').ok
if kind ~= 'none' and kind ~= 'hash' then return 'foreign' end
local application = redis.call('HGET', P..'meta', 'application')
if not application then
  if kind ~= 'none' then return 'foreign' end
  redis.call('HSET', P..'meta', 'application', ARGV[3], 'format', ARGV[4], 'id', ARGV[5])
  return 'made'
elseif application ~= ARGV[3] then
  return 'foreign'
elseif redis.call('HGET', P..'meta', 'format') ~= ARGV[4] then
  return 'format '..redis.call('HGET', P..'meta', 'format')
end
return ''
"""

# ARGV: the number of the batch; the numbers of its posts, sessions and ended sessions; then all of these.
# Return, for each room with a post: its key, and the SEQ of its last line.
APPEND = """
local batch, at = tonumber(ARGV[3]), 7
local is_stored = tonumber(redis.call('HGET', P..'batch', me) or '0') >= batch
local function pop() at = at + 1; return ARGV[at - 1] end
local lasts = {}
local clock = redis.call('TIME')
local now = num(clock[1] * 1000 + math.floor(clock[2] / 1000))

local function post()
  local key, room, kind, name, color = pop(), pop(), pop(), pop(), pop()
  local token, number, count, texts, known = pop(), tonumber(pop()), tonumber(pop()), pop(), tonumber(pop())
  lasts[key] = true
  if is_stored then return end
  if number > 0 then
    local accepted = tonumber(redis.call('HGET', P..'accepted', token) or '0')
    local last = number + count - 1
    if last <= accepted then return end
    for _ = number, accepted do
      texts = string.sub(texts, string.find(texts, '\\n', 1, true) + 1)
      count = count - 1
    end
    redis.call('HSET', P..'accepted', token, num(last))
  end
  raise_number(key, known)
  local seq = num(redis.call('HINCRBY', P..'last', key, num(count)))
  redis.call('HSETNX', P..'spelled', key, room)
  redis.call('XADD', P..'room:'..key, '0-'..seq,
    'kind', kind, 'room', room, 'time', now, 'name', name, 'color', color, 'count', num(count), 'texts', texts)
end

local function session()
  local token, accepted, present, who, skeletons = pop(), tonumber(pop()), pop(), pop(), pop()
  if redis.call('HGET', P..'home', token) ~= me then return end  -- the member has resumed at another server
  if accepted > tonumber(redis.call('HGET', P..'accepted', token) or '0') then
    redis.call('HSET', P..'accepted', token, num(accepted))
  end
  local before = redis.call('HGET', P..'who', token)
  redis.call('HSET', P..'who', token, who)
  redis.call('ZADD', P..'seen', now, token)
  if present == '0' then
    end_presence(token, who)
  else
    -- If they differ, another name was claimed since: a later batch stores the session under that name.
    if skeletons == redis.call('HGET', P..'named', token) then replace_skeletons(token, skeletons) end
    if before ~= who then publish('token', token, 'home', me, 'who', who) end
  end
end

local function ended()
  local token, who = pop(), pop()
  if redis.call('HGET', P..'home', token) ~= me then return end
  redis.call('HDEL', P..'who', token)
  redis.call('ZADD', P..'seen', now, token)  -- `accepted` stays for a while: a server cut off may use it
  end_presence(token, who)
end

for _ = 1, ARGV[4] do post() end
if not is_stored then
  for _ = 1, ARGV[5] do session() end
  for _ = 1, ARGV[6] do ended() end
  redis.call('HSET', P..'batch', me, num(batch))
end
local result = {}
for key in pairs(lasts) do
  table.insert(result, key)
  table.insert(result, redis.call('HGET', P..'last', key) or '0')
end
return result
"""

# ARGV: token hash; the token hash of a session that loses the name, or nothing; the skeletons of the name.
# Return whether the claim is granted, and the id of the last event before it.
CLAIM = """
local token, rival, skeletons = ARGV[3], ARGV[4], ARGV[5]
local before = last_event()
if has_owner(skeletons, token, rival) then return {0, before} end
if rival ~= '' and redis.call('HEXISTS', P..'home', rival) == 1 then
  end_presence(rival, redis.call('HGET', P..'who', rival) or '')
end
serve(token, skeletons)
return {1, before}
"""

# ARGV: for each member who is connected here, the token hash and the skeletons of the name.
# Return the id of the last event before, and for each member whether this server has the session.
CLAIM_AGAIN = """
local found = {last_event()}
for i = 3, #ARGV, 2 do
  local token, skeletons = ARGV[i], ARGV[i + 1]
  local home = redis.call('HGET', P..'home', token)
  local gone = home and home ~= me and redis.call('SISMEMBER', P..'held', token) == 0
  if gone or has_owner(skeletons, token, token) then
    table.insert(found, 0)
  else
    serve(token, skeletons)
    table.insert(found, 1)
  end
end
return found
"""

# ARGV: token hash; the skeletons of the name that the session keeps, or nothing.
RELEASE = """
local token, skeletons = ARGV[3], ARGV[4]
if redis.call('HGET', P..'home', token) ~= me then return end
if skeletons == '' then return end_presence(token, '') end
replace_skeletons(token, skeletons)
redis.call('HSET', P..'named', token, skeletons)
"""

# ARGV: for each room, its key and the SEQ of the last known line. Continue numbering from there.
RAISE_NUMBERS = """
for i = 3, #ARGV, 2 do raise_number(ARGV[i], tonumber(ARGV[i + 1])) end
"""

# Return the id of the last event, and for each member: token hash, home server, session and last stored post.
SNAPSHOT = """
local all = {last_event()}
local homes = redis.call('HGETALL', P..'home')
for i = 1, #homes, 2 do
  local who = redis.call('HGET', P..'who', homes[i])
  if who then
    table.insert(all, homes[i])
    table.insert(all, homes[i + 1])
    table.insert(all, who)
    table.insert(all, redis.call('HGET', P..'accepted', homes[i]) or '0')
  end
end
return all
"""

# ARGV: milliseconds. Renew the lease. Return whether it was still valid, and the servers without a lease.
RENEW = """
local before = redis.call('EXISTS', P..'lease:'..me)
redis.call('SET', P..'lease:'..me, 1, 'PX', ARGV[3])
redis.call('SADD', P..'servers', me)
local dead = {before}
for _, id in ipairs(redis.call('SMEMBERS', P..'servers')) do
  if redis.call('EXISTS', P..'lease:'..id) == 0 then table.insert(dead, id) end
end
return dead
"""

# ARGV: a server. If it has no lease, hold the places of its members at this server. Return how many there are.
ADOPT = """
local dead, members = ARGV[3], 0
if redis.call('EXISTS', P..'lease:'..dead) == 1 then return members end
local homes = redis.call('HGETALL', P..'home')
for i = 1, #homes, 2 do
  if homes[i + 1] == dead then
    local token = homes[i]
    local who = redis.call('HGET', P..'who', token)
    if who then
      redis.call('HSET', P..'home', token, me)
      redis.call('SADD', P..'held', token)
      publish('token', token, 'home', me, 'who', who, 'held', 1)
      members = members + 1
    else
      delete_skeletons(token, {})
      redis.call('HDEL', P..'home', token)
    end
  end
end
redis.call('SREM', P..'servers', dead)
redis.call('DEL', P..'inbox:'..dead)
return members
"""

# ARGV: kind, key, and the fact; without a fact the stored one is deleted.
STORE_FACT = """
local kind, key, fact = ARGV[3], ARGV[4], ARGV[5]
if fact then
  redis.call('HSET', P..'fact:'..kind, key, fact)
  publish('kind', kind, 'key', key, 'fact', fact)
else
  redis.call('HDEL', P..'fact:'..kind, key)
  publish('kind', kind, 'key', key)
end
"""

# ARGV: kind, key, fact. Store the fact unless the key has one; return whether it was stored.
ADD_FACT = """
local kind, key, fact = ARGV[3], ARGV[4], ARGV[5]
if redis.call('HSETNX', P..'fact:'..kind, key, fact) == 0 then return 0 end
publish('kind', kind, 'key', key, 'fact', fact)
return 1
"""

# ARGV: room key, text.
NOTICE = "publish('room', ARGV[3], 'text', ARGV[4])"

# ARGV: a server, and the fields of a request to it. Return whether the server has a lease.
SEND = f"""
if redis.call('EXISTS', P..'lease:'..ARGV[3]) == 0 then return 0 end
redis.call('XADD', P..'inbox:'..ARGV[3], 'MAXLEN', '~', {INBOX_STORED}, '*', unpack(ARGV, 4))
return 1
"""

# ARGV: milliseconds since 1970. Remove sessions that were last seen before and that no server holds.
# Return whether there may be more of them.
PURGE = """
local old = redis.call('ZRANGEBYSCORE', P..'seen', '-inf', ARGV[3], 'LIMIT', 0, 1000)
for _, token in ipairs(old) do
  redis.call('ZREM', P..'seen', token)
  if redis.call('HEXISTS', P..'home', token) == 0 then
    redis.call('HDEL', P..'who', token)
    redis.call('HDEL', P..'accepted', token)
  end
end
return #old == 1000
"""


_WRITING = (APPEND, CLAIM, CLAIM_AGAIN, RELEASE, RAISE_NUMBERS, STORE_FACT, ADD_FACT, NOTICE, SEND)
ALL = (OPEN_CHAT, SNAPSHOT, RENEW, ADOPT, PURGE, *_WRITING)


def complete(script: str) -> str:
    """Return a script after the functions that all scripts share."""
    return _COMMON + script
