# What `cmake --install` leaves for programs in C and C++: library and header, a CMake package and a pkg-config file.
# Both find the rest from where they lie themselves, so that an installed tree may be moved.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/localvqe")

install(TARGETS localvqe EXPORT localvqe
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/localvqe_api.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT localvqe NAMESPACE localvqe:: DESTINATION "${package_dir}" FILE localvqe-config.cmake)

# The version of a pre-release has letters, which CMake does not compare.
string(REGEX MATCH "^[0-9.]*[0-9]" package_version "${LOCALVQE_VERSION}")
set(compatibility SameMajorVersion)
if(LOCALVQE_ABI MATCHES "^0\\.")
  set(compatibility SameMinorVersion)
endif()
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/localvqe-config-version.cmake"
                                 VERSION "${package_version}" COMPATIBILITY ${compatibility})
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/localvqe-config-version.cmake" DESTINATION "${package_dir}")

# An absolute folder is kept as it is: whoever chose one does not want the tree moved.
set(pc_libdir "\${prefix}")
set(pc_includedir "\${prefix}")
cmake_path(APPEND pc_libdir "${CMAKE_INSTALL_LIBDIR}")
cmake_path(APPEND pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" /prefix)
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
configure_file(cmake/localvqe.pc.in localvqe.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/localvqe.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
