# Runs at `cmake --install`, when the prefix is known: the configuration and the systemd unit that names it.
#
# Below /usr and /usr/local the configuration is /etc/sandboxd/sandboxd.yaml, where the daemon looks for it;
# below any other prefix it stays there. One that is there already is an operator's, and left as it is.
if(CMAKE_INSTALL_PREFIX MATCHES "^/(usr(/local)?)?/?$")
    cmake_path(ABSOLUTE_PATH sysconfdir BASE_DIRECTORY "/")
endif()
foreach(directory bindir docdir sysconfdir)
    cmake_path(ABSOLUTE_PATH ${directory} BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" NORMALIZE)
endforeach()

set(configuration "${sysconfdir}/sandboxd/sandboxd.yaml")
if(EXISTS "$ENV{DESTDIR}${configuration}")
    message(STATUS "Left as it is: $ENV{DESTDIR}${configuration}")
else()
    message(STATUS "Installing: $ENV{DESTDIR}${configuration}")
    file(MAKE_DIRECTORY "$ENV{DESTDIR}${sysconfdir}/sandboxd")
    file(COPY_FILE "${source}/sandboxd.yaml" "$ENV{DESTDIR}${configuration}")
endif()

set(unit "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/sandboxd.service")
message(STATUS "Installing: ${unit}")
configure_file("${source}/sandboxd.service.in" "${unit}" @ONLY)
