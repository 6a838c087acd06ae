"""The LMS that the peer runs in: tables of its own, the structure of courses in memory."""
