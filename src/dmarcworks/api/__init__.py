"""The HTTP APIs for programs: SQL, GraphQL, REST, authentication and limits."""
